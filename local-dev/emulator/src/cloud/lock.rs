//! One process for one `--data-dir`: two would take each other's sockets for dead and forget them.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
};

use super::StartError;

/// The folder is ours while this lives. The system lets go of it also after `kill -9`.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Makes the folder if it is not there, and takes it.
    pub(super) fn take(folder: &Path) -> Result<Self, StartError> {
        let name = || folder.display().to_string();
        let unusable = |source: io::Error| StartError::DataDir { folder: name(), source };
        fs::create_dir_all(folder).map_err(unusable)?;
        let file = File::create(folder.join("lock")).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StartError::InUse { folder: name() }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }
}
