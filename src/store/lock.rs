//! Advisory locks between our builds on one storage.
//!
//! One way to wait: a lock that another process holds is asked for again and again, so that whoever waits ends when the
//! build is to end. Locks of steps are many and of short use: their files go with them.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use super::Store;
use crate::process;

/// How long to wait before a lock is asked for again.
const PAUSE: Duration = Duration::from_millis(30);

/// A lock that is held until it is dropped, or the process ends.
#[derive(Debug)]
pub struct Lock {
    /// Held while it is open.
    _file: File,
    /// The file that goes with the lock.
    passing: Option<PathBuf>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(path) = &self.passing {
            // While it is held: who has opened it meanwhile sees that it is not the one at its path any more.
            let _ = fs::remove_file(path);
        }
    }
}

/// How a lock is taken.
type Take = fn(&File) -> Result<(), TryLockError>;

impl Store {
    fn lock_path(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.root.join("locks");
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let digest = blake3::hash(name.as_bytes()).to_hex();
        Ok(folder.join(&digest[..32]))
    }

    /// Takes the lock of that name, if that can be done at once.
    fn take(path: &Path, name: &str, take: Take) -> anyhow::Result<Option<File>> {
        loop {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)
                .with_context(|| format!("opening the lock {}", path.display()))?;
            match take(&file) {
                Ok(()) if is_at(&file, path) => return Ok(Some(file)),
                // Somebody has let it go, and its file with it.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("locking {name}"));
                }
            }
        }
    }

    /// Waits for a lock; `waiting` is called once if another holds it. Nothing when `stopped` says so, or a signal.
    fn wait(
        &self,
        name: &str,
        take: Take,
        waiting: impl FnOnce(),
        stopped: &dyn Fn() -> bool,
    ) -> anyhow::Result<Option<Lock>> {
        let path = self.lock_path(name)?;
        let mut waiting = Some(waiting);
        loop {
            if let Some(file) = Self::take(&path, name, take)? {
                return Ok(Some(Lock { _file: file, passing: None }));
            }
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            if stopped() || process::interrupted() {
                return Ok(None);
            }
            thread::sleep(PAUSE);
        }
    }

    /// Waits for the lock of that name; `waiting` is called once if another holds it.
    ///
    /// # Errors
    /// When the lock's file cannot be made, or a signal ends the waiting.
    pub fn lock(&self, name: &str, waiting: impl FnOnce()) -> anyhow::Result<Lock> {
        match self.wait(name, File::try_lock, waiting, &|| false)? {
            Some(lock) => Ok(lock),
            None => bail!("interrupted while waiting for the lock of {name}"),
        }
    }

    /// As [`Store::lock`], with a file that goes with the lock; nothing when `stopped` ends the waiting, or a signal.
    ///
    /// # Errors
    /// When the lock's file cannot be made.
    pub fn lock_passing(
        &self,
        name: &str,
        waiting: impl FnOnce(),
        stopped: &dyn Fn() -> bool,
    ) -> anyhow::Result<Option<Lock>> {
        let lock = self.wait(name, File::try_lock, waiting, stopped)?;
        let path = self.lock_path(name)?;
        Ok(lock.map(|mut lock| {
            lock.passing = Some(path);
            lock
        }))
    }

    /// Takes a lock that others may hold at the same time; waits while somebody holds it alone.
    ///
    /// # Errors
    /// When the lock's file cannot be made, or a signal ends the waiting.
    pub fn lock_shared(&self, name: &str, waiting: impl FnOnce()) -> anyhow::Result<Lock> {
        match self.wait(name, File::try_lock_shared, waiting, &|| false)? {
            Some(lock) => Ok(lock),
            None => bail!("interrupted while waiting for the lock of {name}"),
        }
    }

    /// Takes the lock if nobody holds it.
    ///
    /// # Errors
    /// When the lock's file cannot be made.
    pub fn try_lock(&self, name: &str) -> anyhow::Result<Option<Lock>> {
        let file = Self::take(&self.lock_path(name)?, name, File::try_lock)?;
        Ok(file.map(|file| Lock { _file: file, passing: None }))
    }
}

/// Whether a file is still the one at its path.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |meta: fs::Metadata| (meta.dev(), meta.ino());
    let here = file.metadata().map(identity);
    fs::metadata(path).map(identity).ok() == here.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Path::new("/graph"), "vfs").unwrap();
        (dir, store)
    }

    #[test]
    fn a_passing_lock_is_held_by_one_at_a_time_and_leaves_no_file() {
        let (_dir, store) = store();
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let lock = store.lock_passing("step", || {}, &|| false).unwrap().unwrap();
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        thread::sleep(Duration::from_micros(200));
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 1);
        assert_eq!(fs::read_dir(store.root().join("locks")).unwrap().count(), 0);
    }

    #[test]
    fn waiting_is_told_once_and_ends_when_it_is_to_end() {
        let (_dir, store) = store();
        let held = store.lock("a", || panic!("nobody holds it")).unwrap();
        let (told, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let tell = || {
            told.fetch_add(1, Ordering::SeqCst);
        };
        let stopped = || asked.fetch_add(1, Ordering::SeqCst) == 2;
        assert!(store.lock_passing("a", tell, &stopped).unwrap().is_none());
        assert_eq!(told.load(Ordering::SeqCst), 1);
        assert!(store.try_lock("a").unwrap().is_none());
        drop(held);
        assert!(store.try_lock("a").unwrap().is_some());
    }
}
