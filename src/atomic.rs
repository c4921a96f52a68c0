//! Files that are whole or not there: written beside their place, synced, renamed.
//!
//! What is kept in the state folder is for its owner alone, or for the group that shares the folder it lies in.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use tempfile::NamedTempFile;

/// Whether something must survive a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It may get lost, and is made again.
    Passing,
    /// Its name may get lost; where that is there, it is whole. Half the price of [`Durability::Synced`].
    Whole,
    /// It is on the disk, under its name, before anything relies on it.
    Synced,
}

/// Replaces `path` by a file with these bytes; creates its folder.
///
/// # Errors
/// When the folder or the file cannot be written; the old file is untouched then.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = or_after(|| fs::create_dir_all(folder), || NamedTempFile::new_in(folder))?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Replaces a file of the state folder; creates the folder that it lies in.
///
/// # Errors
/// As [`write`].
pub fn keep(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let file = private(path, bytes, durability)?;
    file.persist(path)?;
    sync_folder(path, durability)
}

/// As [`keep`], unless there is a file at its place.
///
/// # Errors
/// As [`write`]; of kind `AlreadyExists` where there is one.
pub fn keep_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    private(path, bytes, Durability::Passing)?.persist_noclobber(path)?;
    Ok(())
}

/// As [`keep`], and the file is locked before it is there under its name; the lock is held while the result is open.
///
/// # Errors
/// As [`write`].
pub fn keep_locked(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let file = private(path, bytes, Durability::Passing)?;
    file.as_file().lock()?;
    Ok(file.persist(path)?)
}

/// Makes a folder below the state folder, for who may write to that one.
///
/// # Errors
/// When it cannot be made.
pub fn private_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = folder_of(path);
    private_folder(above)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        Err(error) => return Err(error),
    }
    if let Some(group) = sharing(above) {
        std::os::unix::fs::chown(path, None, Some(group))?;
        fs::set_permissions(path, Permissions::from_mode(0o770))?;
    }
    Ok(())
}

fn private(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<NamedTempFile> {
    let folder = folder_of(path);
    let mut file = or_after(|| private_folder(folder), || NamedTempFile::new_in(folder))?;
    file.write_all(bytes)?;
    if let Some(group) = sharing(folder) {
        std::os::unix::fs::fchown(file.as_file(), None, Some(group))?;
        file.as_file().set_permissions(Permissions::from_mode(0o660))?;
    }
    if durability != Durability::Passing {
        file.as_file().sync_all()?;
    }
    Ok(file)
}

/// The group that may write to a folder of the state folder.
pub fn sharing(folder: &Path) -> Option<u32> {
    let meta = fs::metadata(folder).ok()?;
    (meta.mode() & 0o022 == 0o020).then(|| meta.gid())
}

fn sync_folder(path: &Path, durability: Durability) -> io::Result<()> {
    match durability {
        Durability::Synced => File::open(folder_of(path))?.sync_all(),
        Durability::Passing | Durability::Whole => Ok(()),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a file; where its folder is missing, that first.
fn or_after(
    prepare: impl FnOnce() -> io::Result<()>,
    make: impl Fn() -> io::Result<NamedTempFile>,
) -> io::Result<NamedTempFile> {
    match make() {
        Err(error) if error.kind() == ErrorKind::NotFound => prepare().and_then(|()| make()),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn what_is_kept_is_for_those_alone_who_may_write_to_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        for (above, folder, file) in [(0o700, 0o700, 0o600), (0o755, 0o700, 0o600), (0o770, 0o770, 0o660)] {
            let state = dir.path().join(format!("{above:o}"));
            fs::create_dir(&state).unwrap();
            fs::set_permissions(&state, Permissions::from_mode(above)).unwrap();
            let path = state.join("a/b/file");
            keep(&path, b"x", Durability::Synced).unwrap();
            assert_eq!((mode(&state.join("a/b")), mode(&path)), (folder, file), "{above:o}");
        }
    }

    #[test]
    fn a_new_file_takes_no_place_that_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/file");
        keep_new(&path, b"1").unwrap();
        assert_eq!(keep_new(&path, b"2").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"1");
    }
}
