//! When to look for new records.

use std::time::Duration;

use tokio::{sync::watch, time::sleep};

/// What a reader waits for where it has read everything there was.
#[derive(Clone, Debug)]
pub(super) enum Wake {
    /// The database says when something was written to the table. It is asked after a write only.
    Written(watch::Receiver<u64>),
    /// The database has to be asked now and then; at once where something may just have been written.
    Polled {
        /// Changes when something may have been written.
        wakeup: watch::Receiver<u64>,
        /// The longest time between two questions.
        every: Duration,
    },
}

impl Wake {
    /// What was written until now will be seen by the read that follows.
    pub(super) fn is_about_to_read(&mut self) {
        if let Self::Written(written) = self {
            written.mark_unchanged();
        }
    }

    /// Waits until there may be something new. What came while a page was being read counts.
    pub(super) async fn wait(&mut self) {
        let (changes, every) = match self {
            Self::Written(written) => (written, Duration::MAX),
            Self::Polled { wakeup, every } => (wakeup, *every),
        };
        let changed = async {
            if changes.changed().await.is_err() {
                // Nobody is left who could write.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = changed => {}
            () = sleep(every) => {}
        }
    }
}
