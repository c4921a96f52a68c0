//! Where temporary files lie: which calls may get a folder of the build's own for them, and which keep the user's TMPDIR.
//!
//! A call that is ended early leaves what it had in TMPDIR, so calls get a folder that goes with the build. But the engines
//! also keep there what is to outlive a call:
//! - `buildah-cache` (1.28, podman 4.3) and `buildah-cache-UID` (1.39, 1.43, podman 5.4, 5.8), the content of `type=cache`
//!   mounts with its locks; under `/var/tmp`, or where containers.conf says (`image_copy_tmp_dir`), when TMPDIR is not set;
//! - `storage-run-UID` and `podman-run-UID`, the run root and podman's pause process, of an ordinary user who has neither
//!   XDG_RUNTIME_DIR nor `/run/user/UID` (all versions).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use nix::unistd::geteuid;

/// Where what may be as large as an image lies for the time of a build: as the engines, not in `/tmp`.
pub fn large() -> PathBuf {
    std::env::var_os("TMPDIR").map_or_else(|| "/var/tmp".into(), PathBuf::from)
}

/// What all folders for temporary files of this process begin with, and those of no other process.
///
/// Short, for sockets that lie in them: a socket's path has 107 bytes.
pub fn prefix() -> &'static str {
    static PREFIX: LazyLock<String> = LazyLock::new(|| {
        let random = uuid::Uuid::now_v7().simple().to_string();
        format!("stagecache-{}-", &random[24..])
    });
    &PREFIX
}

/// The folders in which this process makes its own.
pub fn parents() -> Vec<PathBuf> {
    let mut parents = vec![large(), std::env::temp_dir()];
    parents.dedup();
    parents
}

/// Removes from a folder what begins with the prefix of a process that is gone; whether nothing of it is left. Links are not
/// followed, and what belongs to another user stays.
pub fn remove(parent: &Path, prefix: &str) -> bool {
    let own = |meta: fs::Metadata| meta.is_dir() && meta.uid() == geteuid().as_raw();
    let left = fs::read_dir(parent).into_iter().flatten().flatten();
    let left = left.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()));
    let mut all = true;
    for entry in left.filter(|entry| fs::symlink_metadata(entry.path()).is_ok_and(own)) {
        all &= fs::remove_dir_all(entry.path()).is_ok() || !entry.path().exists();
    }
    all
}

/// Whether a call may get another TMPDIR than the user's.
pub fn can_lie_elsewhere(mounts_cache: bool) -> bool {
    let has_runtime_folder = || {
        let set = std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|folder| !folder.is_empty());
        let own = |meta: fs::Metadata| meta.is_dir() && meta.uid() == geteuid().as_raw();
        set || fs::metadata(format!("/run/user/{}", geteuid())).is_ok_and(own)
    };
    !mounts_cache && (geteuid().is_root() || has_runtime_folder())
}
