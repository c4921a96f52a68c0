//! Advisory locks between our builds on one storage.
//!
//! One way to wait: a lock that another process holds is asked for again and again, so that whoever waits ends when the
//! build is to end. Locks of steps are many and of short use: their files go with them.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::fcntl::OFlag;

use super::Store;
use crate::atomic;
use crate::process;

/// How long to wait before a lock is asked for again.
const PAUSE: Duration = Duration::from_millis(30);

/// A lock that is held until it is dropped, or the process ends.
#[derive(Debug)]
pub struct Lock {
    /// Held while it is open; nothing where no lock can be made, and so nobody holds any.
    file: Option<File>,
    /// The file that goes with the lock.
    passing: Option<PathBuf>,
}

impl Lock {
    /// Whether it keeps others out.
    pub fn is_held(&self) -> bool {
        self.file.is_some()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(path) = self.passing.as_ref().filter(|_| self.file.is_some()) {
            // While it is held: who has opened it meanwhile sees that it is not the one at its path any more.
            let _ = fs::remove_file(path);
        }
    }
}

/// How a lock is taken.
type Take = fn(&File) -> Result<(), TryLockError>;

/// What became of taking a lock at once.
enum Taken {
    Held(File),
    ByAnother,
    /// There can be none here, which has been told.
    CannotBe,
}

impl Store {
    fn lock_path(&self, name: &str) -> PathBuf {
        let digest = blake3::hash(name.as_bytes()).to_hex();
        self.root.join("locks").join(&digest[..32])
    }

    /// Takes the lock of that name, if that can be done at once.
    fn take(&self, path: &Path, name: &str, take: Take) -> anyhow::Result<Taken> {
        loop {
            let Ok(file) = self.open_lock(path) else { return Ok(Taken::CannotBe) };
            match take(&file) {
                Ok(()) if is_at(&file, path) => return Ok(Taken::Held(file)),
                // Somebody has let it go, and its file with it.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Taken::ByAnother),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("locking {name}"));
                }
            }
        }
    }

    /// The file of a lock, which nobody else can open: who can open it can hold it.
    fn open_lock(&self, path: &Path) -> io::Result<File> {
        self.shelf.kept(path, |path| {
            let folder = path.parent().unwrap_or(path);
            atomic::private_folder(folder)?;
            let open = |options: &mut OpenOptions| {
                let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
                let file = options.custom_flags(flags.bits()).mode(0o600).open(path)?;
                if file.metadata()?.is_file() { Ok(file) } else { Err(ErrorKind::InvalidInput.into()) }
            };
            let file = match open(File::options().create(true).truncate(false).write(true)) {
                Ok(file) => file,
                // Where nothing can be written, one that is there can be locked all the same.
                Err(error) => return open(File::options().read(true)).map_err(|_| error),
            };
            let meta = file.metadata()?;
            let mode = if atomic::sharing(folder).is_some() { 0o660 } else { 0o600 };
            if meta.mode() & 0o777 != mode && meta.uid() == nix::unistd::geteuid().as_raw() {
                file.set_permissions(Permissions::from_mode(mode))?;
            }
            Ok(file)
        })
    }

    /// Waits for a lock; `waiting` is called once if another holds it. Nothing when `stopped` says so, or a signal.
    fn wait(
        &self,
        name: &str,
        take: Take,
        waiting: impl FnOnce(),
        stopped: &dyn Fn() -> bool,
    ) -> anyhow::Result<Option<Lock>> {
        let path = self.lock_path(name);
        let mut waiting = Some(waiting);
        loop {
            match self.take(&path, name, take)? {
                Taken::Held(file) => return Ok(Some(Lock { file: Some(file), passing: None })),
                Taken::CannotBe => return Ok(Some(Lock { file: None, passing: None })),
                Taken::ByAnother => {}
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
    /// When a signal ends the waiting.
    pub fn lock(&self, name: &str, waiting: impl FnOnce()) -> anyhow::Result<Lock> {
        match self.wait(name, File::try_lock, waiting, &|| false)? {
            Some(lock) => Ok(lock),
            None => bail!("interrupted while waiting for the lock of {name}"),
        }
    }

    /// As [`Store::lock`], with a file that goes with the lock; nothing when `stopped` ends the waiting, or a signal.
    ///
    /// # Errors
    /// When the lock cannot be taken though nobody holds it.
    pub fn lock_passing(
        &self,
        name: &str,
        waiting: impl FnOnce(),
        stopped: &dyn Fn() -> bool,
    ) -> anyhow::Result<Option<Lock>> {
        let lock = self.wait(name, File::try_lock, waiting, stopped)?;
        Ok(lock.map(|mut lock| {
            lock.passing = Some(self.lock_path(name));
            lock
        }))
    }

    /// Takes a lock that others may hold at the same time; waits while somebody holds it alone.
    ///
    /// # Errors
    /// When a signal ends the waiting.
    pub fn lock_shared(&self, name: &str, waiting: impl FnOnce()) -> anyhow::Result<Lock> {
        match self.wait(name, File::try_lock_shared, waiting, &|| false)? {
            Some(lock) => Ok(lock),
            None => bail!("interrupted while waiting for the lock of {name}"),
        }
    }

    /// Takes the lock if nobody holds it, and there can be one.
    ///
    /// # Errors
    /// When the lock cannot be taken though nobody holds it.
    pub fn try_lock(&self, name: &str) -> anyhow::Result<Option<Lock>> {
        Ok(match self.take(&self.lock_path(name), name, File::try_lock)? {
            Taken::Held(file) => Some(Lock { file: Some(file), passing: None }),
            Taken::ByAnother | Taken::CannotBe => None,
        })
    }
}

impl Store {
    /// Takes away the file of a lock that nobody holds; who waits for it sees that it is another one then.
    pub(super) fn remove_free_lock(&self, path: &Path) {
        if let Ok(Taken::Held(_file)) = self.take(path, "it", File::try_lock) {
            let _ = fs::remove_file(path);
        }
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
        let store = Store::open(dir.path(), Path::new("/graph"), "vfs");
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
    fn the_file_of_a_lock_is_for_nobody_else_and_what_stands_there_goes_aside() {
        let (_dir, store) = store();
        let path = store.lock_path("a");
        let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
        drop(store.lock("a", || {}).unwrap());
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        drop(store.lock("a", || {}).unwrap());
        assert_eq!(mode(), 0o600);
        let wrong: [fn(&Path); 3] = [
            |path| fs::create_dir(path).unwrap(),
            |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
            |path| std::os::unix::fs::symlink("/dev/null", path).unwrap(),
        ];
        for make in wrong {
            let _ = fs::remove_file(&path);
            make(&path);
            assert!(store.lock("a", || {}).unwrap().is_held());
            assert!(path.is_file());
        }
        assert_eq!(store.troubles().len(), 1, "one file, told of once");
    }

    #[test]
    fn where_no_lock_can_be_made_nobody_waits_for_one() {
        let store = Store::open(Path::new("/proc/no-such-folder"), Path::new("/graph"), "vfs");
        assert!(!store.lock("a", || {}).unwrap().is_held());
        assert!(store.try_lock("a").unwrap().is_none());
        assert_eq!(store.troubles().len(), 1);
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
