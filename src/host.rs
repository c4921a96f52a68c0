//! What a step reads of this machine, and what it may write there while it runs.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::graph::mount_fields;

/// Files and folders of this machine, by real path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostAccess {
    /// What is read, all below included.
    pub reads: BTreeSet<PathBuf>,
    /// What may be written, all below included.
    pub writes: BTreeSet<PathBuf>,
}

impl HostAccess {
    /// Whether what this one writes may be what the other one reads.
    pub fn may_change(&self, other: &Self) -> bool {
        overlap(&self.writes, &other.reads)
    }

    /// Whether it makes a difference which of the two goes first.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.may_change(other) || other.may_change(self) || overlap(&self.writes, &other.writes)
    }
}

/// Whether one of these lies in one of those, or the other way round.
pub fn overlap(these: &BTreeSet<PathBuf>, those: &BTreeSet<PathBuf>) -> bool {
    these.iter().any(|a| those.iter().any(|b| a.starts_with(b) || b.starts_with(a)))
}

/// The real path of what may not be there yet: links are followed as far as it is.
pub fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for ancestor in path.ancestors() {
        if let Ok(found) = std::fs::canonicalize(ancestor) {
            let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() { found } else { found.join(rest) };
        }
    }
    path
}

/// The folder of this machine that a `--volume` lets a command write to.
pub fn written_by_volume(value: &str) -> Option<PathBuf> {
    let mut parts = value.split(':');
    let folder = parts.next().filter(|folder| folder.starts_with('/'))?;
    let read_only = parts.skip(1).flat_map(|options| options.split(',')).any(|o| matches!(o, "ro" | "O"));
    (!read_only).then(|| real(Path::new(folder)))
}

/// Whether a mount of a RUN asks to be writable.
pub fn is_writable(mount: &str) -> bool {
    mount_fields(mount).iter().any(|(name, value)| {
        matches!(name.as_str(), "rw" | "readwrite") && value != "false"
            || matches!(name.as_str(), "ro" | "readonly") && value == "false"
    })
}

/// The file or folder that an image of this name is read from; nothing for one of a storage or registry
/// (containers-transports(5)).
pub fn image_path(name: &str) -> Option<PathBuf> {
    let path = ["dir:", "oci:", "oci-archive:", "docker-archive:", "sif:"]
        .iter()
        .find_map(|transport| name.strip_prefix(transport))?;
    let path = path.split(':').next().unwrap_or(path);
    Some(real(Path::new(path)))
}

/// Where below `root` these sources are read: up to the first wildcard, links followed. One that leads elsewhere may be
/// anything in there.
pub fn paths_below<'a>(root: &Path, sources: impl IntoIterator<Item = &'a str>) -> BTreeSet<PathBuf> {
    let root = real(root);
    let path = |source: &str| {
        let components = Path::new(source).components();
        if components.clone().any(|component| component == Component::ParentDir) {
            return root.clone();
        }
        let names = components.filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        let plain = names.take_while(|name| !name.to_string_lossy().contains(['*', '?', '[', '\\']));
        let found = real(&plain.fold(root.clone(), |path, name| path.join(name)));
        if found.starts_with(&root) { found } else { root.clone() }
    };
    sources.into_iter().map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[&str]) -> BTreeSet<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn a_folder_is_met_by_what_lies_in_it_and_by_what_it_lies_in() {
        for (these, those, expected) in [
            (&["/a/b"][..], &["/a"][..], true),
            (&["/a"], &["/a/b"], true),
            (&["/a"], &["/ab"], false),
            (&["/x", "/a"], &["/a"], true),
            (&[], &["/a"], false),
        ] {
            assert_eq!(overlap(&paths(these), &paths(those)), expected, "{these:?} {those:?}");
        }
    }

    #[test]
    fn a_volume_writes_to_its_folder_unless_it_is_read_only() {
        for (value, expected) in [
            ("/nowhere:/v", Some("/nowhere")),
            ("/nowhere:/v:z", Some("/nowhere")),
            ("/nowhere:/v:z,ro", None),
            ("/nowhere:/v:O", None),
            ("/nowhere:/ro", Some("/nowhere")),
            ("name:/v", None),
        ] {
            assert_eq!(written_by_volume(value), expected.map(PathBuf::from), "{value}");
        }
    }

    #[test]
    fn a_mount_is_writable_where_it_says_so() {
        for (value, expected) in [
            ("type=bind,target=/m", false),
            ("type=bind,rw,target=/m", true),
            ("type=bind,readwrite=true,target=/m", true),
            ("type=bind,rw=false,target=/m", false),
            ("type=bind,ro=false,target=/m", true),
        ] {
            assert_eq!(is_writable(value), expected, "{value}");
        }
    }

    #[test]
    fn images_in_files_are_known_by_their_transport() {
        for (name, expected) in [
            ("oci:/nowhere/a:tag", Some("/nowhere/a")),
            ("docker-archive:/nowhere/a.tar", Some("/nowhere/a.tar")),
            ("docker.io/library/oci:latest", None),
            ("busybox", None),
        ] {
            assert_eq!(image_path(name), expected.map(PathBuf::from), "{name}");
        }
    }

    #[test]
    fn sources_are_read_up_to_their_first_wildcard() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::os::unix::fs::symlink("a", root.join("link")).unwrap();
        std::os::unix::fs::symlink("/", root.join("out")).unwrap();
        for (source, expected) in [
            ("a/b", "a/b"),
            ("/a/b/", "a/b"),
            ("a/*/c", "a"),
            ("*", ""),
            (".", ""),
            ("gone/file", "gone/file"),
            ("link/b", "a/b"),
            ("out/etc", ""),
            ("a/../x", ""),
        ] {
            let found = paths_below(&root, [source]);
            assert_eq!(found, BTreeSet::from([real(&root.join(expected))]), "{source}");
        }
    }
}
