//! The context as a tree that is read once: directories by getdents, no path leads out of the root.
//!
//! Directory listings are kept for the life of a reader, and so is what `look` finds out about a file, so that
//! several instructions over the same files cost one stat each. Following links by the rules of a chroot is here;
//! which paths a COPY means is `resolve`'s work.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::names::{escape, join, split};
use super::{ContextError, Digest, FileFact};

/// The type of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Dir,
    Symlink,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
}

/// One name in a directory.
#[derive(Debug)]
pub(super) struct Entry {
    name: Name,
    pub(super) kind: Kind,
    /// Filled when the file is first asked for; `None` in it: the file vanished.
    pub(super) fact: OnceLock<Option<FileFact>>,
}

/// A directory that has been read: its own fact and its names, sorted.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) mode: u32,
    pub(super) xattrs: BTreeMap<String, Digest>,
    pub(super) entries: Vec<Entry>,
    /// All names, as they were read.
    names: Vec<u8>,
}

/// Where a name stands among those of its directory.
#[derive(Debug, Clone, Copy)]
struct Name {
    start: u32,
    length: u16,
}

impl Name {
    fn of(self, names: &[u8]) -> &[u8] {
        &names[self.start as usize..][..usize::from(self.length)]
    }
}

impl Listing {
    pub(super) fn name(&self, entry: &Entry) -> &[u8] {
        entry.name.of(&self.names)
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<&Entry> {
        let index = self.entries.binary_search_by(|entry| self.name(entry).cmp(name)).ok()?;
        Some(&self.entries[index])
    }
}

/// A context folder. Paths are bytes relative to it, without leading slash; `""` is the folder itself.
#[derive(Debug)]
pub(super) struct ContextFs {
    root: PathBuf,
    fd: OwnedFd,
    listings: Mutex<HashMap<Vec<u8>, Arc<Listing>>>,
}

/// As many links are followed before it counts as a loop, as in the kernel.
const MAX_LINKS: usize = 40;

impl ContextFs {
    pub(super) fn open(root: &Path) -> Result<Self, ContextError> {
        let failed = |source: io::Error| ContextError::io("opening context", root, source);
        let root = std::path::absolute(root).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd =
            rustix::fs::openat(CWD, &root, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        Ok(Self { root, fd, listings: Mutex::default() })
    }

    /// The context folder, absolute, links in it as they are.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    pub(super) fn absolute(&self, path: &[u8]) -> PathBuf {
        self.root.join(std::ffi::OsStr::from_bytes(path))
    }

    pub(super) fn failed(&self, doing: &'static str, path: &[u8], errno: Errno) -> ContextError {
        ContextError::io(doing, &self.absolute(path), errno.into())
    }

    /// The listing of a real directory, and the open directory when this call has read it.
    pub(super) fn list(&self, path: &[u8]) -> Result<(Arc<Listing>, Option<OwnedFd>), ContextError> {
        let known = self.listings.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        if let Some(listing) = known {
            return Ok((listing, None));
        }
        let (listing, fd) =
            self.read_dir(path).map_err(|errno| self.failed("reading directory", path, errno))?;
        let mut listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        let listing = listings.entry(path.to_owned()).or_insert_with(|| Arc::new(listing));
        Ok((Arc::clone(listing), Some(fd)))
    }

    fn read_dir(&self, path: &[u8]) -> rustix::io::Result<(Listing, OwnedFd)> {
        let name = if path.is_empty() { b".".as_slice() } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&fd)?;
        let xattrs = super::look::xattrs(&fd)?;
        let (mut names, mut found) = (Vec::new(), Vec::new());
        let mut buffer = Vec::with_capacity(32 * 1024);
        let mut read = RawDir::new(&fd, buffer.spare_capacity_mut());
        while let Some(entry) = read.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let kind = match kind(entry.file_type()) {
                Some(kind) => kind,
                // Some filesystems do not tell, and a name may be gone by now.
                None => match rustix::fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => match kind(rustix::fs::FileType::from_raw_mode(stat.st_mode)) {
                        Some(kind) => kind,
                        None => continue,
                    },
                    Err(Errno::NOENT) => continue,
                    Err(errno) => return Err(errno),
                },
            };
            let start = u32::try_from(names.len()).map_err(|_| Errno::OVERFLOW)?;
            let length = u16::try_from(name.len()).map_err(|_| Errno::NAMETOOLONG)?;
            names.extend(name);
            found.push((Name { start, length }, kind));
        }
        found.sort_unstable_by_key(|(name, _)| name.of(&names));
        let entries = found.into_iter().map(|(name, kind)| Entry { name, kind, fact: OnceLock::new() });
        let entries = entries.collect();
        Ok((Listing { mode: stat.st_mode & 0o7777, xattrs, entries, names }, fd))
    }

    /// What stands at a real path, `None` when there is nothing.
    pub(super) fn kind(&self, path: &[u8]) -> Result<Option<Kind>, ContextError> {
        if path.is_empty() {
            return Ok(Some(Kind::Dir));
        }
        let (dir, name) = split(path);
        let (listing, _) = self.list(dir)?;
        Ok(listing.find(name).map(|entry| entry.kind))
    }

    pub(super) fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, ContextError> {
        let target = rustix::fs::readlinkat(&self.fd, path, Vec::new());
        target.map(|target| target.into_bytes()).map_err(|errno| self.failed("reading link", path, errno))
    }

    /// The real path that `path` leads to when the context is the root of all: links are followed, the last one
    /// too, and `..` at the top stays there. `None` when something on the way does not exist.
    pub(super) fn resolve(&self, path: &[u8]) -> Result<Option<Vec<u8>>, ContextError> {
        Ok(self.trace(path)?.map(|(real, _)| real))
    }

    /// Whether a link on the way of `path` is absolute or climbs over the top, and so leads elsewhere without a chroot.
    pub(super) fn leaves(&self, path: &[u8]) -> Result<bool, ContextError> {
        Ok(self.trace(path)?.is_some_and(|(_, leaves)| leaves))
    }

    fn trace(&self, path: &[u8]) -> Result<Option<(Vec<u8>, bool)>, ContextError> {
        let mut followed = 0;
        let mut leaves = false;
        let mut real: Vec<u8> = Vec::new();
        let mut rest: VecDeque<Vec<u8>> = components(path).collect();
        while let Some(component) = rest.pop_front() {
            if component == b".." {
                leaves |= real.is_empty();
                real = split(&real).0.to_owned();
                continue;
            }
            if self.kind(&real)? != Some(Kind::Dir) {
                return Ok(None);
            }
            let next = join(&real, &component);
            match self.kind(&next)? {
                None => return Ok(None),
                Some(Kind::Symlink) => {
                    followed += 1;
                    if followed > MAX_LINKS {
                        return Err(ContextError::Link {
                            path: escape(path).into_owned(),
                            problem: "is a loop",
                        });
                    }
                    let target = self.read_link(&next)?;
                    if target.starts_with(b"/") {
                        leaves = true;
                        real.clear();
                    }
                    for component in components(&target).collect::<Vec<_>>().into_iter().rev() {
                        rest.push_front(component);
                    }
                }
                Some(_) => real = next,
            }
        }
        Ok(Some((real, leaves)))
    }
}

fn components(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".").map(<[u8]>::to_vec)
}

fn kind(file_type: rustix::fs::FileType) -> Option<Kind> {
    use rustix::fs::FileType;
    Some(match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Unknown => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_as_in_a_chroot() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/f"), "").unwrap();
        for (target, link) in
            [("a", "la"), ("/a/b", "abs"), ("../../../a", "a/up"), ("loop", "loop"), ("nowhere", "dangling")]
        {
            symlink(target, root.join(link)).unwrap();
        }
        let context = ContextFs::open(root).unwrap();
        let resolve = |path: &str| {
            context.resolve(path.as_bytes()).map(|real| real.map(|real| String::from_utf8(real).unwrap()))
        };
        for (path, real) in [
            ("", Some("")),
            ("la/b/f", Some("a/b/f")),
            ("abs/f", Some("a/b/f")),
            ("a/up/b", Some("a/b")),
            ("la/../a", Some("a")),
            ("../../a", Some("a")),
            ("a/b/f/x", None),
            ("dangling", None),
            ("nope", None),
        ] {
            assert_eq!(resolve(path).unwrap().as_deref(), real, "{path}");
        }
        assert_eq!(resolve("loop").unwrap_err().to_string(), "link \"loop\" is a loop");
    }
}
