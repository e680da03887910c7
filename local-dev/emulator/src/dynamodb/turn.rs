//! Two connections to one SQLite database take turns here: where SQLite itself finds the other one writing, it sleeps and
//! asks again, for longer each time.

use std::sync::{Arc, Mutex, PoisonError};

/// Whose turn it is to use the database. The library has a lock of its own, so requests lose nothing by waiting here.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn(Arc<Mutex<()>>);

impl Turn {
    /// Does it when nobody else is using the database. For work that is over soon.
    pub(super) fn take<T>(&self, work: impl FnOnce() -> T) -> T {
        let _turn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    }
}
