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

/// Transports that an image can be written to, with their colon.
const TRANSPORTS: &[&str] =
    &["dir:", "oci:", "oci-archive:", "docker-archive:", "docker-daemon:", "docker://"];

/// Whether a `--tag` says where the image is to be written, and is no name in the storage.
pub fn is_destination(tag: &OsStr) -> bool {
    TRANSPORTS.iter().any(|transport| tag.as_bytes().starts_with(transport.as_bytes()))
}

/// Refuses what the engine would refuse when all is built.
///
/// # Errors
/// When there is something at a destination that is not replaced.
pub fn check(tag: &OsStr) -> anyhow::Result<()> {
    let after = |transport: &str| tag.as_bytes().strip_prefix(transport.as_bytes()).map(OsStr::from_bytes);
    let shown = tag.to_string_lossy();
    if let Some(path) = after("docker-archive:") {
        let file = path.as_bytes().split(|byte| *byte == b':').next().unwrap_or_default();
        if fs::metadata(OsStr::from_bytes(file)).is_ok_and(|meta| meta.is_file() && meta.len() > 0) {
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
