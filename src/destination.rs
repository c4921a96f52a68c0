//! Where a build writes outside of the storage, and whether that can be done.
//!
//! Names with a transport (`-t dir:DIR`, `oci-archive:FILE`, …): the engine commits the target there; here the finished
//! image is copied there.
//!
//! The engines do that with the first name alone: further ones are left out with a warning, and behind a plain name one
//! with a transport fails when all is built (1.28, 1.39, 1.43, podman 4.3, 5.4, 5.8). Each of them is written here, and the
//! image stays in the storage, as every stage's does.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::bail;
use nix::unistd::{AccessFlags, eaccess};

use crate::names;

/// Transports that an image can be written to, with their colon.
const TRANSPORTS: &[&str] =
    &["dir:", "oci:", "oci-archive:", "docker-archive:", "docker-daemon:", "docker://"];

/// Whether a `--tag` says where the image is to be written, and is no name in the storage.
pub fn is_destination(tag: &OsStr) -> bool {
    TRANSPORTS.iter().any(|transport| tag.as_bytes().starts_with(transport.as_bytes()))
}

/// Whether this process may write a file, or into a folder.
pub fn is_writable(path: &Path) -> bool {
    let needed = if path.is_dir() { AccessFlags::W_OK | AccessFlags::X_OK } else { AccessFlags::W_OK };
    eaccess(path, needed).is_ok()
}

/// Refuses a file that cannot be written; `given` is the flag with its value.
///
/// # Errors
/// When it is a folder, its folder is not there, or one of the two may not be written.
pub fn writable_file(given: &str, path: &Path) -> anyhow::Result<()> {
    if path.is_dir() {
        bail!("{given}: it is a folder; name a file");
    }
    if path.exists() {
        if !is_writable(path) {
            bail!("{given}: the file is there and cannot be written; name another one");
        }
        return Ok(());
    }
    let folder = folder_of(path);
    if !folder.is_dir() {
        bail!("{given}: there is no folder {}", folder.display());
    }
    if !is_writable(folder) {
        bail!("{given}: the folder {} cannot be written; name another one", folder.display());
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses what the engine would refuse when all is built.
///
/// # Errors
/// When there is something at a destination that is not replaced, it cannot be made, or is no name for a registry.
pub fn check(tag: &OsStr) -> anyhow::Result<()> {
    let after = |transport: &str| tag.as_bytes().strip_prefix(transport.as_bytes()).map(OsStr::from_bytes);
    let shown = tag.to_string_lossy();
    let up_to_colon = |path: &OsStr| {
        let end = path.as_bytes().iter().position(|byte| *byte == b':').unwrap_or(path.len());
        Path::new(OsStr::from_bytes(&path.as_bytes()[..end])).to_owned()
    };
    let with_path = ["dir:", "oci:", "oci-archive:", "docker-archive:"];
    let with_path = with_path.into_iter().find_map(|transport| Some((transport, after(transport)?)));
    if let Some((transport, path)) = with_path {
        let path = if transport == "dir:" { Path::new(path).to_owned() } else { up_to_colon(path) };
        let folder = folder_of(&path);
        if !folder.is_dir() {
            bail!("--tag={shown}: there is no folder {}", folder.display());
        }
        if !is_writable(if path.exists() { &path } else { folder }) {
            bail!("--tag={shown}: {} cannot be written; name another place", path.display());
        }
    }
    if let Some(name) = after("docker://").and_then(OsStr::to_str)
        && !name.contains('@')
        && !names::is_valid(name)
    {
        bail!(
            "--tag={shown}: not a name for an image; write docker://HOST/NAME[:TAG], the name in lower case"
        );
    }
    if let Some(path) = after("docker-archive:") {
        let file = up_to_colon(path);
        if fs::metadata(&file).is_ok_and(|meta| meta.is_file() && meta.len() > 0) {
            bail!(
                "--tag={shown}: the archive is there, and docker-archive does not modify one; remove it first"
            );
        }
    }
    if let Some(path) = after("dir:").map(Path::new) {
        let holds_something = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        if path.exists() && !path.is_dir() || holds_something && !path.join("version").exists() {
            bail!("--tag={shown}: what is there is no image; remove it, or name another folder");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_told_from_a_name() {
        for tag in
            ["dir:/x", "dir:x", "oci:x:1", "oci-archive:x.tar", "docker-archive:x.tar:a:1", "docker://r/x"]
        {
            assert!(is_destination(tag.as_ref()), "{tag}");
        }
        for tag in ["docker:dind", "oci", "dir", "localhost/dir:1", "containers-storage:a:1", "a/oci:1"] {
            assert!(!is_destination(tag.as_ref()), "{tag}");
        }
    }
}
