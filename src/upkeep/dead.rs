//! What builds have left that were killed: calls that run on, working containers with their mounts and layers, folders for
//! temporary files, records that say that they run.
//!
//! Each is known by what [`super::lease`] wrote down, and a build is dead when the lock on that is free. So nothing of a
//! living build is touched, and nothing that is not a build's.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use super::lease::{self, Own};
use crate::engine::{Engine, temporary};
use crate::process;
use crate::sealed;
use crate::store::Store;

/// How old a file without a name is that nobody will give one any more.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// The lease of dead builds, held so that only one cleans up behind them.
struct Dead {
    id: String,
    path: PathBuf,
    _lock: File,
}

/// How many processes with builds were killed, and have left something.
pub fn left_behind(store: &Store) -> usize {
    dead(store).len()
}

/// Removes all that killed builds have left, and tells how many there were.
///
/// # Errors
/// When something of it cannot be removed; the next one tries again.
pub fn sweep(engine: &dyn Engine, store: &Store) -> anyhow::Result<usize> {
    let mut swept = 0;
    for dead in dead(store) {
        process::end_marked(&dead.id);
        let own: Own = sealed::read(&dead.path, &lease::is(&dead.id)).present().unwrap_or_default();
        clean_up(engine, store, &dead.id, &own)?;
        fs::remove_file(&dead.path).with_context(|| format!("removing {}", dead.path.display()))?;
        swept += 1;
    }
    Ok(swept)
}

/// Removes what builds have left whose calls have ended.
pub(super) fn clean_up(engine: &dyn Engine, store: &Store, id: &str, own: &Own) -> anyhow::Result<()> {
    // Each for itself: one that does not go keeps no other.
    let swept = engine.sweep(id).context("removing working containers");
    let records: Vec<_> = own.builds.iter().map(|build| store.interrupt_record(build)).collect();
    let stays: Vec<_> = match own.prefix.as_str() {
        "" => Vec::new(),
        prefix => own.folders.iter().filter(|folder| !temporary::remove(folder, prefix)).collect(),
    };
    swept?;
    records.into_iter().collect::<anyhow::Result<()>>()?;
    match stays.first() {
        Some(folder) => bail!("{}/{}* cannot be removed", folder.display(), own.prefix),
        None => Ok(()),
    }
}

fn dead(store: &Store) -> Vec<Dead> {
    let files = fs::read_dir(lease::folder(store)).into_iter().flatten().flatten();
    files.filter_map(|file| if_dead(&file.path())).collect()
}

fn if_dead(path: &Path) -> Option<Dead> {
    let id = path.file_name()?.to_str()?.to_owned();
    let lock = File::options().read(true).write(true).open(path).ok()?;
    lock.try_lock().ok()?;
    if id.starts_with("stagecache-") {
        // One that was removed meanwhile is nobody's.
        return path.exists().then(|| Dead { id, path: path.to_owned(), _lock: lock });
    }
    // A process that was killed before it gave the file its name had no build yet.
    if lock.metadata().ok()?.modified().ok()?.elapsed().is_ok_and(|age| age > FORGOTTEN) {
        let _ = fs::remove_file(path);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upkeep::Lease;

    #[test]
    fn a_build_is_dead_when_its_lock_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Path::new("/graph"), "vfs");
        let lease = Lease::take(&store, &["b".into()]);
        assert_eq!(left_behind(&store), 0, "it lives");
        let kept = lease.path().unwrap().clone();
        let copy = fs::read(&kept).unwrap();
        drop(lease);
        assert!(!kept.exists(), "it has left nothing");
        fs::write(&kept, copy).unwrap();
        assert_eq!(left_behind(&store), 1);
        let own: Own =
            sealed::read(&kept, &lease::is(kept.file_name().unwrap().to_str().unwrap())).present().unwrap();
        assert_eq!((own.builds, own.prefix), (vec!["b".to_owned()], temporary::prefix().to_owned()));
    }

    #[test]
    fn a_lease_that_is_left_is_found_by_who_comes_next() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Path::new("/graph"), "vfs");
        Lease::take(&store, &[]).leave();
        assert_eq!(left_behind(&store), 1);
    }

    #[test]
    fn only_folders_with_the_prefix_go_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("stagecache-1-a/b")).unwrap();
        fs::create_dir(at("stagecache-2-a")).unwrap();
        fs::create_dir(at("kept")).unwrap();
        std::os::unix::fs::symlink(at("kept"), at("stagecache-1-link")).unwrap();
        assert!(temporary::remove(dir.path(), "stagecache-1-"));
        assert!(!at("stagecache-1-a").exists());
        assert!(at("stagecache-2-a").exists() && at("kept").exists());
    }
}
