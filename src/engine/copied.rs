//! The digest of the bytes that sources of an image amount to, read from the layers in the storage.
//!
//! A COPY --from needs to know whether other bytes would be copied than last time. Asking the engine for
//! them costs 0.2 to 0.35 s a time; the layers lie in folders (`<root>/overlay/<layer>/diff`,
//! `<root>/vfs/dir/<layer>`) and are read here as the kernel would join them. Where anything is met that
//! is not plainly understood (other drivers, redirects, fuse-overlayfs' whiteout files, unreadable files)
//! there is no digest, and the step runs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::CopiedRequest;
use super::storage::{self, ImageStore};

/// How many symlinks a path may go through, as in Linux.
const MAX_LINKS: usize = 40;

/// The digest, or `None` where it cannot be told.
pub fn digest(stores: &[ImageStore], request: &CopiedRequest) -> Option<String> {
    let listing = storage::list(stores).ok()?;
    let image = listing.get(&request.image)?;
    let store = &stores[image.store];
    let tree = if image.top_layer.is_empty() {
        Tree { layers: Vec::new() }
    } else {
        Tree::open(store, &image.top_layer)?
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"stagecache copied bytes 1\n");
    for source in &request.sources {
        field(&mut hasher, source.as_bytes());
        let mut found = tree.glob(source)?;
        found.sort();
        for path in found {
            tree.hash(&mut hasher, &path)?;
        }
    }
    Some(hasher.finalize().to_hex().to_string())
}

fn field(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

#[derive(Deserialize)]
struct IndexedLayer {
    id: String,
    #[serde(default)]
    parent: String,
}

/// The joined layers of an image, topmost first.
struct Tree {
    layers: Vec<PathBuf>,
}

enum Entry {
    Absent,
    Present { path: PathBuf, meta: Box<Metadata>, layer: usize },
}

impl Tree {
    fn open(store: &ImageStore, top: &str) -> Option<Self> {
        match store.driver.as_str() {
            "vfs" => {
                let dir = store.root.join("vfs/dir").join(top);
                dir.is_dir().then(|| Self { layers: vec![dir] })
            }
            "overlay" => {
                let index = store.root.join("overlay-layers/layers.json");
                let layers: Vec<IndexedLayer> = serde_json::from_slice(&fs::read(index).ok()?).ok()?;
                let parents: HashMap<&str, &str> =
                    layers.iter().map(|l| (l.id.as_str(), l.parent.as_str())).collect();
                let mut chain = Vec::new();
                let mut layer = top;
                while !layer.is_empty() {
                    let dir = store.root.join("overlay").join(layer).join("diff");
                    if !dir.is_dir() || chain.len() > 1000 {
                        return None;
                    }
                    chain.push(dir);
                    layer = parents.get(layer)?;
                }
                Some(Self { layers: chain })
            }
            _ => None,
        }
    }

    /// Looks up a path without following links; `None` where something is not understood.
    fn lookup(&self, path: &Path) -> Option<Entry> {
        let mut visible = self.layers.len();
        // A folder that is opaque, or replaced, in a layer hides what lower layers have below it.
        let mut walked = PathBuf::new();
        let mut found = None;
        for component in std::iter::once(None).chain(path.components().map(Some)) {
            if let Some(component) = component {
                walked.push(component);
            }
            found = None;
            for (number, layer) in self.layers[..visible].iter().enumerate() {
                let here = layer.join(&walked);
                let meta = match fs::symlink_metadata(&here) {
                    Ok(meta) => meta,
                    Err(error)
                        if matches!(
                            error.kind(),
                            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                        ) =>
                    {
                        continue;
                    }
                    Err(_) => return None,
                };
                if is_whiteout(&meta) {
                    visible = number;
                    break;
                }
                if found.is_none() {
                    found = Some((here.clone(), meta.clone(), number));
                }
                if !meta.is_dir() {
                    // Lower folders of that name are hidden; higher ones cannot be joined with a file.
                    visible = if found.as_ref().is_some_and(|f| f.2 == number) { number + 1 } else { number };
                    break;
                }
                if is_opaque(&here)? {
                    visible = number + 1;
                    break;
                }
            }
            if found.is_none() {
                return Some(Entry::Absent);
            }
        }
        found
            .map(|(path, meta, layer)| Entry::Present { path, meta: Box::new(meta), layer })
            .or(Some(Entry::Absent))
    }

    /// The names in a folder.
    fn names(&self, folder: &Path) -> Option<Vec<OsString>> {
        let mut names: BTreeMap<OsString, bool> = BTreeMap::new();
        let Entry::Present { layer: first, .. } = self.lookup(folder)? else { return Some(Vec::new()) };
        for layer in &self.layers[first..] {
            let here = layer.join(folder);
            let Ok(meta) = fs::symlink_metadata(&here) else { continue };
            if !meta.is_dir() {
                break;
            }
            for entry in fs::read_dir(&here).ok()? {
                let name = entry.ok()?.file_name();
                if name.as_bytes().starts_with(b".wh.") {
                    return None;
                }
                names.insert(name, true);
            }
        }
        // What is whited out or hidden shows when each name is looked up.
        let mut present = Vec::new();
        for (name, _) in names {
            if matches!(self.lookup(&folder.join(&name))?, Entry::Present { .. }) {
                present.push(name);
            }
        }
        Some(present)
    }

    /// Follows all links of a path inside the tree.
    fn resolve(&self, path: &Path) -> Option<PathBuf> {
        let mut todo: Vec<OsString> = path.components().rev().map(|c| c.as_os_str().to_owned()).collect();
        let mut done = PathBuf::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match Path::new(&part).components().next() {
                None | Some(Component::CurDir | Component::Prefix(_)) => {}
                Some(Component::RootDir) => done = PathBuf::new(),
                Some(Component::ParentDir) => {
                    done.pop();
                }
                Some(Component::Normal(name)) => {
                    let here = done.join(name);
                    match self.lookup(&here)? {
                        Entry::Present { path, meta, .. } if meta.is_symlink() => {
                            links += 1;
                            if links > MAX_LINKS {
                                return None;
                            }
                            let target = fs::read_link(path).ok()?;
                            todo.extend(target.components().rev().map(|c| c.as_os_str().to_owned()));
                        }
                        _ => done = here,
                    }
                }
            }
        }
        Some(done)
    }

    /// The paths that a source stands for; a source that matches nothing stands for nothing.
    fn glob(&self, source: &str) -> Option<Vec<PathBuf>> {
        let mut found = vec![PathBuf::new()];
        for part in Path::new(source).components() {
            let Component::Normal(part) = part else {
                if part == Component::ParentDir {
                    return None;
                }
                continue;
            };
            let text = part.to_str()?;
            let mut next = Vec::new();
            let mut seen = HashSet::new();
            for folder in found {
                let folder = self.resolve(&folder)?;
                // Links lead to the same folder on many ways.
                if !seen.insert(folder.clone()) {
                    continue;
                }
                if text.contains(['*', '?', '[', '\\']) {
                    for name in self.names(&folder)? {
                        // Anything that could match counts: too many bytes in the digest only cost a run.
                        if could_match(text.as_bytes(), name.as_bytes()) {
                            next.push(folder.join(name));
                        }
                    }
                } else {
                    next.push(folder.join(part));
                }
            }
            found = next;
        }
        Some(found)
    }

    fn hash(&self, hasher: &mut blake3::Hasher, path: &Path) -> Option<()> {
        let resolved = self.resolve(path)?;
        if resolved != path {
            field(hasher, b"link");
            field(hasher, path.as_os_str().as_bytes());
        }
        self.hash_tree(hasher, &resolved, &resolved)
    }

    fn hash_tree(&self, hasher: &mut blake3::Hasher, root: &Path, path: &Path) -> Option<()> {
        let (real, meta) = match self.lookup(path)? {
            Entry::Absent => {
                field(hasher, b"absent");
                return Some(());
            }
            Entry::Present { path, meta, .. } => (path, meta),
        };
        let name = if path == root {
            path.file_name().unwrap_or_default()
        } else {
            path.strip_prefix(root).ok()?.as_os_str()
        };
        field(hasher, name.as_bytes());
        for number in [u64::from(meta.mode()), owner(meta.uid()), owner(meta.gid())] {
            hasher.update(&number.to_le_bytes());
        }
        hash_xattrs(hasher, &real)?;
        let kind = meta.file_type();
        if kind.is_symlink() {
            field(hasher, fs::read_link(&real).ok()?.as_os_str().as_bytes());
        } else if kind.is_file() {
            let mut content = blake3::Hasher::new();
            content.update_reader(fs::File::open(&real).ok()?).ok()?;
            hasher.update(content.finalize().as_bytes());
        } else if kind.is_dir() {
            let names = self.names(path)?;
            hasher.update(&(names.len() as u64).to_le_bytes());
            for name in names {
                self.hash_tree(hasher, root, &path.join(name))?;
            }
        } else {
            hasher.update(&meta.rdev().to_le_bytes());
        }
        Some(())
    }
}

/// The user who runs a rootless storage is root in its images.
fn owner(id: u32) -> u64 {
    let euid = nix::unistd::geteuid();
    if !euid.is_root() && (id == euid.as_raw() || id == nix::unistd::getegid().as_raw()) {
        return 0;
    }
    u64::from(id)
}

fn is_whiteout(meta: &Metadata) -> bool {
    meta.file_type().is_char_device() && meta.rdev() == 0
}

fn is_opaque(folder: &Path) -> Option<bool> {
    for attribute in xattr::list(folder).ok()? {
        let bytes = attribute.as_bytes();
        if bytes.ends_with(b".overlay.redirect") || bytes.ends_with(b".overlay.metacopy") {
            return None;
        }
        if bytes.ends_with(b".overlay.opaque") {
            return Some(xattr::get(folder, &attribute).ok()?.is_some_and(|value| value == b"y"));
        }
    }
    Some(false)
}

fn hash_xattrs(hasher: &mut blake3::Hasher, path: &Path) -> Option<()> {
    let mut names: Vec<OsString> = match xattr::list(path) {
        Ok(names) => names.collect(),
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => return Some(()),
        Err(_) => return None,
    };
    names.retain(|name| !ours_to_skip(name));
    names.sort();
    hasher.update(&(names.len() as u64).to_le_bytes());
    for name in names {
        field(hasher, name.as_bytes());
        field(hasher, &xattr::get(path, &name).ok()?.unwrap_or_default());
    }
    Some(())
}

/// Attributes that the storage driver or the security module set, not the build.
fn ours_to_skip(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    bytes.starts_with(b"trusted.overlay.")
        || bytes.starts_with(b"user.overlay.")
        || bytes == b"security.selinux"
        || bytes == b"user.containers.override_stat"
}

/// Go's `filepath.Match` for one component, generous where a class is malformed.
fn could_match(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    // What stands behind the last star, and up to where that reaches. A star before it needs no other end.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let rest = &name[position..];
        let next = match &pattern[at..] {
            [] if rest.is_empty() => return true,
            [b'*', ..] => {
                star = Some((at + 1, position));
                at += 1;
                continue;
            }
            [b'[', class @ ..] => match class.iter().skip(1).position(|&b| b == b']') {
                // A class may hold or not hold the character: count it as a match.
                Some(end) if !rest.is_empty() => Some((at + end + 3, position + char_len(rest))),
                Some(_) => None,
                None => return true,
            },
            [b'?', ..] if !rest.is_empty() => Some((at + 1, position + char_len(rest))),
            [b'?', ..] => None,
            [b'\\', byte, ..] => (rest.first() == Some(byte)).then_some((at + 2, position + 1)),
            [byte, ..] => (rest.first() == Some(byte)).then_some((at + 1, position + 1)),
            [] => None,
        };
        (at, position) = match (next, star) {
            (Some(next), _) => next,
            (None, Some((behind, end))) if end < name.len() => {
                star = Some((behind, end + 1));
                (behind, end + 1)
            }
            (None, _) => return false,
        };
    }
}

fn char_len(name: &[u8]) -> usize {
    match name.first() {
        Some(b) if *b >= 0xf0 => 4,
        Some(b) if *b >= 0xe0 => 3,
        Some(b) if *b >= 0xc0 => 2,
        _ => 1,
    }
    .min(name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(layers: &[&[(&str, &str)]]) -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        for (number, files) in layers.iter().enumerate() {
            let layer = dir.path().join(number.to_string());
            fs::create_dir(&layer).unwrap();
            for (path, content) in *files {
                let path = layer.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                match content.strip_prefix("-> ") {
                    Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
                    None => fs::write(path, content).unwrap(),
                }
            }
            paths.push(layer);
        }
        paths.reverse();
        (dir, Tree { layers: paths })
    }

    fn digest_of(tree: &Tree, source: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        for path in tree.glob(source).unwrap() {
            tree.hash(&mut hasher, &path).unwrap();
        }
        hasher.finalize().to_hex().to_string()
    }

    #[test]
    fn a_higher_layer_hides_the_file_of_a_lower_one() {
        let (_a, one) = tree(&[&[("etc/a", "1")], &[("etc/a", "2"), ("etc/b", "x")]]);
        let (_b, other) = tree(&[&[("etc/a", "2"), ("etc/b", "x")]]);
        assert_eq!(digest_of(&one, "/etc"), digest_of(&other, "/etc"));
        assert_eq!(one.names(Path::new("etc")).unwrap(), ["a", "b"]);
    }

    #[test]
    fn links_are_followed_inside_the_tree_only() {
        let (_a, tree) = tree(&[&[("usr/lib/x", "1"), ("lib", "-> /usr/lib"), ("up", "-> ../../../usr")]]);
        assert_eq!(tree.resolve(Path::new("lib/x")).unwrap(), Path::new("usr/lib/x"));
        assert_eq!(tree.resolve(Path::new("up/lib/x")).unwrap(), Path::new("usr/lib/x"));
        assert_eq!(tree.glob("/lib/*").unwrap(), [PathBuf::from("usr/lib/x")]);
    }

    #[test]
    fn a_link_that_goes_round_in_circles_has_no_digest() {
        let (_a, tree) = tree(&[&[("a", "-> b"), ("b", "-> a")]]);
        assert_eq!(tree.resolve(Path::new("a/x")), None);
    }

    #[test]
    fn content_mode_and_name_change_the_digest() {
        let (_a, one) = tree(&[&[("d/a", "1")]]);
        let (_b, content) = tree(&[&[("d/a", "2")]]);
        let (_c, name) = tree(&[&[("d/b", "1")]]);
        let (dir, mode) = tree(&[&[("d/a", "1")]]);
        fs::set_permissions(dir.path().join("0/d/a"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let all: std::collections::HashSet<_> =
            [&one, &content, &name, &mode].map(|t| digest_of(t, "d")).into();
        assert_eq!(all.len(), 4);
    }

    /// Every way to end a star, one after the other.
    fn slowly(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|n| slowly(rest, &name[n..])),
            Some((b'?', rest)) => !name.is_empty() && slowly(rest, &name[char_len(name)..]),
            Some((b'[', rest)) => match rest.iter().skip(1).position(|&b| b == b']') {
                Some(end) => !name.is_empty() && slowly(&rest[end + 2..], &name[char_len(name)..]),
                None => true,
            },
            Some((b'\\', rest)) if !rest.is_empty() => {
                name.first() == rest.first() && slowly(&rest[1..], &name[1..])
            }
            Some((byte, rest)) => name.first() == Some(byte) && slowly(rest, &name[1..]),
        }
    }

    proptest::proptest! {
        #[test]
        fn a_pattern_matches_as_if_every_way_were_tried(pattern in "[ab*?\\[\\]\\\\é]{0,8}", name in "[abé*]{0,8}") {
            let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
            proptest::prop_assert_eq!(could_match(pattern, name), slowly(pattern, name));
        }
    }

    #[test]
    fn many_stars_take_no_more_time_than_few() {
        let pattern = "*a".repeat(100);
        assert!(!could_match(format!("{pattern}b").as_bytes(), "a".repeat(5000).as_bytes()));
        assert!(could_match(pattern.as_bytes(), "a".repeat(5000).as_bytes()));
    }

    #[test]
    fn patterns_match_at_least_what_go_matches() {
        for (pattern, name, expected) in [
            ("*.c", "a.c", true),
            ("*.c", "a.h", false),
            ("a?", "aé", true),
            ("[ab]x", "bx", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
            ("*", "", true),
            ("?", "", false),
            ("a[", "ab", true),
            ("b[", "ab", false),
            ("*é?", "aéb", true),
        ] {
            assert_eq!(could_match(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_are_quick() {
        let (pattern, name) = ("*a".repeat(1000) + "*b", "a".repeat(255));
        assert!(!could_match(pattern.as_bytes(), name.as_bytes()));
        assert!(could_match("*a".repeat(200).as_bytes(), name.as_bytes()));
    }

    #[test]
    fn links_that_lead_back_do_not_multiply_what_is_found() {
        let (_a, tree) = tree(&[&[("a", "-> ."), ("b", "-> /"), ("c", "-> b"), ("f", "1")]]);
        assert_eq!(tree.glob(&"*/".repeat(30)).unwrap().len(), 4);
    }
}
