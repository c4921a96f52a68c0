//! The sources of a COPY or ADD as paths in the context, resolved the way buildah's copier resolves them.
//!
//! Measured on 1.28.2 and 1.43.2: a source is joined to the context folder and cleaned by its text alone (`la/../f`
//! is `f` whatever `la` is), what then lies outside is moved back in (`../f` is `f`); each component is a glob in
//! which `*` takes leading dots too; a source that is a link is followed by its text within the context.
//!
//! `**` as a component is `*` for 1.28.2 and any number of folders for 1.43.2. Both are taken, which puts too much
//! into a key on 1.28 at worst.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::ContextError;
use super::fs::{ContextFs, Kind};
use super::glob::{Glob, has_meta};
use super::names::{clean, clean_below_root, escape, join, lossy, split};

/// So many links the copier follows for a source.
const MAX_LINKS: usize = 16;

/// Whether ADD fetches this source instead of finding it in the context (the engines know `http://` and `https://`,
/// with `.git` or `.git#ref` at the end for a repository).
pub fn is_remote_source(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// The source as a cleaned path or pattern below the context, `""` for the context itself.
pub(super) fn below_context(root: &Path, source: &str) -> Vec<u8> {
    let root = clean(root.as_os_str().as_bytes());
    let whole = clean(&[&root, b"/".as_slice(), source.as_bytes()].concat());
    let components = |path: &[u8]| -> Vec<Vec<u8>> {
        path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let (root, whole) = (components(&root), components(&whole));
    let shared = root.iter().zip(&whole).take_while(|(a, b)| a == b).count();
    whole[shared..].join(&b'/')
}

/// All paths that match a pattern of [`below_context`], sorted; without `*?[\` that path if it exists.
pub(super) fn expand(context: &ContextFs, pattern: &[u8]) -> Result<BTreeSet<Vec<u8>>, ContextError> {
    let mut paths = BTreeSet::from([Vec::new()]);
    for component in pattern.split(|&byte| byte == b'/').filter(|component| !component.is_empty()) {
        let mut next = BTreeSet::new();
        for parent in &paths {
            if component == b"**" {
                folders_below(context, parent, &mut next)?;
            }
            children(context, parent, component, &mut next)?;
        }
        paths = next;
    }
    Ok(paths)
}

/// The children of `parent` that match one component.
fn children(
    context: &ContextFs,
    parent: &[u8],
    component: &[u8],
    found: &mut BTreeSet<Vec<u8>>,
) -> Result<(), ContextError> {
    let Some(real) = real_directory(context, parent)? else {
        return Ok(());
    };
    if !has_meta(component) {
        if context.kind(&join(&real, component))?.is_some() {
            found.insert(join(parent, component));
        }
        return Ok(());
    }
    // Go's Glob takes a malformed pattern for one that matches nothing where there is nothing to match.
    let Ok(glob) = Glob::new(&lossy(component)) else {
        return Ok(());
    };
    let (listing, _) = context.list(&real)?;
    let names = listing.entries.iter().map(|entry| listing.name(entry));
    found.extend(names.filter(|name| glob.matches(&lossy(name))).map(|name| join(parent, name)));
    Ok(())
}

/// `directory` and all folders below it; links are not followed.
fn folders_below(
    context: &ContextFs,
    directory: &[u8],
    found: &mut BTreeSet<Vec<u8>>,
) -> Result<(), ContextError> {
    let Some(real) = real_directory(context, directory)? else {
        return Ok(());
    };
    let mut open = vec![(real, directory.to_vec())];
    while let Some((real, named)) = open.pop() {
        let (listing, _) = context.list(&real)?;
        let folders = listing.entries.iter().filter(|entry| entry.kind == Kind::Dir);
        let names = folders.map(|entry| listing.name(entry));
        open.extend(names.map(|name| (join(&real, name), join(&named, name))));
        found.insert(named);
    }
    Ok(())
}

fn real_directory(context: &ContextFs, path: &[u8]) -> Result<Option<Vec<u8>>, ContextError> {
    let Some(real) = context.resolve(path)? else {
        return Ok(None);
    };
    Ok((context.kind(&real)? == Some(Kind::Dir)).then_some(real))
}

/// What a source stands for once it is no link any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Its path by text, which ignore patterns are matched with.
    pub(super) named: Vec<u8>,
    /// The real folder that it is in.
    pub(super) real_dir: Vec<u8>,
    /// Its name there; `""` for the context itself.
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
}

impl Target {
    pub(super) fn real(&self) -> Vec<u8> {
        if self.name.is_empty() { Vec::new() } else { join(&self.real_dir, &self.name) }
    }
}

/// Follows `source`, a path of [`expand`], to what is copied in its place.
pub(super) fn follow(context: &ContextFs, source: &[u8]) -> Result<Target, ContextError> {
    let broken = |problem| ContextError::Link { path: escape(source).into_owned(), problem };
    let mut named = source.to_vec();
    for _ in 0..MAX_LINKS {
        let (dir, name) = split(&named);
        let real_dir = context.resolve(dir)?.ok_or_else(|| broken("leads nowhere"))?;
        let real = if name.is_empty() { Vec::new() } else { join(&real_dir, name) };
        match context.kind(&real)?.ok_or_else(|| broken("leads nowhere"))? {
            Kind::Symlink => {
                let target = context.read_link(&real)?;
                named = match target.starts_with(b"/") {
                    true => clean_below_root(&target),
                    false => clean_below_root(&join(dir, &target)),
                };
            }
            kind => {
                return Ok(Target { real_dir, name: name.to_vec(), kind, named });
            }
        }
    }
    Err(broken("is a loop"))
}

/// The folders that `--parents` does not create: the part of the source before `/./`, and all above it.
pub(super) fn before_pivot(source: &str) -> Vec<Vec<u8>> {
    let Some((prefix, _)) = source.split_once("/./") else {
        return Vec::new();
    };
    let prefix = clean_below_root(prefix.as_bytes());
    ancestors(&prefix).chain([prefix.clone()]).collect()
}

/// The folders above a path, outermost first, without the context itself.
pub(super) fn ancestors(path: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(slash, _)| path[..slash].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn text(path: &[u8]) -> String {
        String::from_utf8(path.to_vec()).unwrap()
    }

    #[test]
    fn no_source_leaves_the_context() {
        for (source, expected) in [
            (".", ""),
            ("/", ""),
            ("", ""),
            ("a/", "a"),
            ("/a", "a"),
            ("./a//b", "a/b"),
            ("../a", "a"),
            ("../../../../../a", "a"),
            ("la/../a", "a"),
            // Joined before it is cleaned, so this names the context itself.
            ("../context/a", "a"),
            ("a/../../context/a", "a"),
        ] {
            assert_eq!(text(&below_context(Path::new("/work/context"), source)), expected, "{source}");
        }
    }

    #[test]
    fn patterns_match_component_by_component() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b/c")).unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        for file in ["a/x", "a/b/y", "a/b/c/y", "d/y", ".dot", "f.txt", "star*"] {
            fs::write(dir.path().join(file), "").unwrap();
        }
        symlink("a", dir.path().join("la")).unwrap();
        symlink("nowhere", dir.path().join("dangling")).unwrap();
        let context = ContextFs::open(dir.path()).unwrap();
        for (pattern, expected) in [
            ("", vec![""]),
            ("f.txt", vec!["f.txt"]),
            ("f.txt/x", vec![]),
            ("nope", vec![]),
            ("*", vec![".dot", "a", "d", "dangling", "f.txt", "la", "star*"]),
            ("[^a-f.]*", vec!["la", "star*"]),
            ("*/b", vec!["a/b", "la/b"]),
            ("la/*", vec!["la/b", "la/x"]),
            ("**/y", vec!["a/b/c/y", "a/b/y", "d/y"]),
            ("a/**/y", vec!["a/b/c/y", "a/b/y"]),
            ("a/**", vec!["a", "a/b", "a/b/c", "a/x"]),
            ("star\\*", vec!["star*"]),
            ("f\\.txt", vec!["f.txt"]),
            ("dangling", vec!["dangling"]),
            ("[", vec![]),
        ] {
            let paths: Vec<_> =
                expand(&context, pattern.as_bytes()).unwrap().iter().map(|path| text(path)).collect();
            assert_eq!(paths, expected, "{pattern}");
        }
    }

    #[test]
    fn a_source_that_is_a_link_is_followed_by_its_text() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("f"), "").unwrap();
        for (target, link) in [
            ("a", "la"),
            ("/f", "abs"),
            ("../../f", "up"),
            ("la/../f", "chain"),
            ("abs", "twice"),
            ("nope", "dead"),
            ("me", "me"),
        ] {
            symlink(target, dir.path().join(link)).unwrap();
        }
        let context = ContextFs::open(dir.path()).unwrap();
        for (source, named, kind) in [
            ("", "", Kind::Dir),
            ("f", "f", Kind::File),
            ("la", "a", Kind::Dir),
            ("la/b", "la/b", Kind::Dir),
            ("abs", "f", Kind::File),
            ("up", "f", Kind::File),
            ("chain", "f", Kind::File),
            ("twice", "f", Kind::File),
        ] {
            let target = follow(&context, source.as_bytes()).unwrap();
            assert_eq!((text(&target.named), target.kind), (named.to_owned(), kind), "{source}");
        }
        assert_eq!(text(&follow(&context, b"la/b").unwrap().real()), "a/b");
        assert_eq!(follow(&context, b"dead").unwrap_err().to_string(), "link \"dead\" leads nowhere");
        assert_eq!(follow(&context, b"me").unwrap_err().to_string(), "link \"me\" is a loop");
    }

    #[test]
    fn the_pivot_names_the_folders_that_are_not_made() {
        let before = |source| before_pivot(source).iter().map(|path| text(path)).collect::<Vec<_>>();
        assert_eq!(before("a/b/./c/d"), ["a", "a/b"]);
        assert_eq!(before("./a/../a/./b"), ["a"]);
        assert_eq!(before("a/b"), Vec::<String>::new());
    }
}
