//! Advisory locks between our builds on one storage.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::Context;

use super::Store;

/// A lock that is held until it is dropped, or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Store {
    fn lock_file(&self, name: &str) -> anyhow::Result<File> {
        let folder = self.root.join("locks");
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let digest = blake3::hash(name.as_bytes()).to_hex();
        let path: PathBuf = folder.join(&digest[..32]);
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("opening the lock {}", path.display()))
    }

    /// Waits for the lock of that name; `waiting` is called once if another holds it.
    ///
    /// # Errors
    /// When the lock's file cannot be made.
    pub fn lock(&self, name: &str, waiting: impl FnOnce()) -> anyhow::Result<Lock> {
        let file = self.lock_file(name)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                waiting();
                file.lock().with_context(|| format!("waiting for the lock of {name}"))?;
            }
            Err(fs::TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {name}"));
            }
        }
        Ok(Lock { _file: file })
    }

    /// Takes a lock that others may hold at the same time; nothing when somebody holds it alone.
    ///
    /// # Errors
    /// When the lock's file cannot be made.
    pub fn lock_shared(&self, name: &str) -> anyhow::Result<Lock> {
        let file = self.lock_file(name)?;
        file.lock_shared().with_context(|| format!("waiting for the lock of {name}"))?;
        Ok(Lock { _file: file })
    }

    /// Takes the lock if nobody holds it.
    ///
    /// # Errors
    /// When the lock's file cannot be made.
    pub fn try_lock(&self, name: &str) -> anyhow::Result<Option<Lock>> {
        let file = self.lock_file(name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {name}")),
        }
    }
}
