//! Files that are whole or not there: written beside their place, synced, renamed.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Replaces `path` by a file with these bytes; creates its folder.
///
/// # Errors
/// When the folder or the file cannot be written; the old file is untouched then.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    persist(path, bytes, false)
}

/// As [`write`], and on the disk when it returns: for what must survive a crash of the machine.
///
/// # Errors
/// As [`write`].
pub fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    persist(path, bytes, true)
}

fn persist(path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = match tempfile::NamedTempFile::new_in(folder) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            tempfile::NamedTempFile::new_in(folder)?
        }
        Err(error) => return Err(error),
    };
    file.write_all(bytes)?;
    if sync {
        file.as_file().sync_all()?;
    }
    file.persist(path)?;
    Ok(())
}
