//! Path names: cleaned as Go cleans them, shown as text without two names ever sharing one text.
//!
//! Pure functions over bytes; nothing here touches a filesystem.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Shortens a path without looking at the filesystem, by the rules of Go's `filepath.Clean`.
///
/// Doubled slashes and `.` go, `x/..` goes, `..` at the root goes; what is then empty is `.`.
pub(super) fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.first() == Some(&b'/');
    let mut kept: Vec<&[u8]> = Vec::new();
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if kept.last().is_some_and(|last| *last != b"..") => {
                kept.pop();
            }
            b".." if rooted => {}
            _ => kept.push(component),
        }
    }
    let joined = kept.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

/// [`clean`] for a path below a root that cannot be left: no leading slash, `""` is the root itself.
pub(super) fn clean_below_root(path: &[u8]) -> Vec<u8> {
    clean(&[b"/", path].concat())[1..].to_vec()
}

/// `dir` and `name` with a slash between them; an empty `dir` is the root.
pub(super) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() }
}

/// The directory part and the last component; the directory of a single component is `""`.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// Text that stands for exactly these bytes: what is not UTF-8 becomes `\xNN`, a backslash is doubled.
pub(super) fn escape(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.contains('\\')
    {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        escaped.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            let _ = write!(escaped, "\\x{byte:02x}"); // a String takes everything
        }
    }
    Cow::Owned(escaped)
}

/// The text that Go's regular expressions and globs see: each byte that is not UTF-8 counts as U+FFFD.
pub(super) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(
            bytes
                .utf8_chunks()
                .flat_map(|chunk| {
                    chunk.valid().chars().chain(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER))
                })
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        for (path, expected) in [
            ("", "."),
            (".", "."),
            ("/", "/"),
            ("a//b/./c/", "a/b/c"),
            ("a/../b", "b"),
            ("a/..", "."),
            ("../a", "../a"),
            ("a/../../b", "../b"),
            ("../../a/..", "../.."),
            ("/../a", "/a"),
            ("//a", "/a"),
            ("!./foo", "!./foo"),
        ] {
            assert_eq!(String::from_utf8(clean(path.as_bytes())).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn nothing_leads_out_of_the_root() {
        for (path, expected) in [("../../a", "a"), ("/", ""), (".", ""), ("a/../..", ""), ("/a/b", "a/b")] {
            assert_eq!(String::from_utf8(clean_below_root(path.as_bytes())).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_escaped() {
        assert_eq!(escape(b"plain"), "plain");
        assert_eq!(escape(b"a\\b"), "a\\\\b");
        assert_eq!(escape(b"a\xff\xc3b"), "a\\xff\\xc3b");
        assert_eq!(lossy(b"a\xff\xc3b"), "a\u{fffd}\u{fffd}b");
    }

    proptest! {
        #[test]
        fn two_names_never_share_one_text(a in prop::collection::vec(any::<u8>(), 0..8), b in prop::collection::vec(any::<u8>(), 0..8)) {
            prop_assert_eq!(a == b, escape(&a) == escape(&b));
        }
    }
}
