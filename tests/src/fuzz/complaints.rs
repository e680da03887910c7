//! What the functions caught: panics, and whatever is logged as an error. A client never sees these.

use std::{
    fmt::{Debug, Write as _},
    sync::{Mutex, OnceLock, PoisonError},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::LevelFilter,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

/// What a function says that finds no database: it was still busy with a cloud that has been stopped.
const AFTER_THE_END: &str = "tcp connect error";

/// The complaints of this process since the first call of [`Complaints::listen`].
#[derive(Default)]
pub(super) struct Complaints(Mutex<Vec<String>>);

impl Complaints {
    /// Listens from now on.
    pub(super) fn listen() -> &'static Self {
        static COMPLAINTS: OnceLock<Complaints> = OnceLock::new();
        let mut fresh = false;
        let complaints = COMPLAINTS.get_or_init(|| {
            fresh = true;
            Self::default()
        });
        if fresh {
            let show = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                complaints.note(panic.to_string());
                show(panic);
            }));
            tracing_subscriber::registry().with(Listener(complaints).with_filter(LevelFilter::ERROR)).init();
        }
        complaints
    }

    /// Takes all complaints, each of them once.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, complaint: String) {
        if complaint.contains(AFTER_THE_END) {
            return;
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(complaint);
    }
}

struct Listener(&'static Complaints);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR {
            let mut fields = Fields(event.metadata().target().to_owned());
            event.record(&mut fields);
            self.0.note(fields.0);
        }
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, " {field}={value:?}");
    }
}
