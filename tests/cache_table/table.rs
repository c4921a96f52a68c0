//! How a table of changes is written down.

use crate::support::Kind;

/// One Containerfile, and what is done to it.
pub struct Case {
    pub name: &'static str,
    pub kind: Kind,
    pub file: &'static str,
    /// Files of the context; `-> TARGET` is a link. `../base/Containerfile` makes `localhost/base:1`.
    pub context: &'static [(&'static str, &'static str)],
    /// Flags of every build.
    pub flags: &'static [&'static str],
    pub rows: &'static [Row],
}

/// One change.
pub struct Row {
    pub what: &'static str,
    pub change: Change,
    /// Flags of this build alone.
    pub flags: &'static [&'static str],
    /// The exit code.
    pub code: i32,
    pub verdicts: &'static str,
    /// Paths with the content that they must have, or `-` for none. What starts with `file`, `folder` or `link` is
    /// the whole entry, `PATH@NAME` an extended attribute; a path that starts with `/` is a place of the image's config.
    pub files: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy)]
pub enum Change {
    Nothing,
    /// A script that runs in the context.
    Shell(&'static str),
    /// Another Containerfile.
    File(&'static str),
    /// A replacement in the Containerfile.
    Edit(&'static str, &'static str),
    /// Calls of the engine on the storage, words split at spaces.
    Engine(&'static [&'static str]),
    /// An image `localhost/base:1` with this file `/f`, made by the engine.
    Base(&'static str),
    /// An image `localhost/base:1` by this Containerfile, made by the engine.
    Rebase(&'static str),
    /// An extended attribute of `d/f`.
    Xattr(Option<&'static str>),
    /// The same tree at another place: other inodes, other times.
    Clone,
    /// From here on another engine on the same storage.
    Switch(Kind),
    /// `rmi` of a stage's image by its name.
    RemoveStage(&'static str),
    /// `rmi` of the image of a stage's step, counted from 0, whatever names it has.
    RemoveStep(&'static str, usize),
    /// All images but the base go.
    Emptied,
}

/// A change, the verdicts behind it, and files.
pub const fn row(
    what: &'static str,
    change: Change,
    verdicts: &'static str,
    files: &'static [(&'static str, &'static str)],
) -> Row {
    Row { what, change, flags: &[], code: 0, verdicts, files }
}

/// Other flags, and nothing else changed.
pub const fn flagged(
    what: &'static str,
    flags: &'static [&'static str],
    verdicts: &'static str,
    files: &'static [(&'static str, &'static str)],
) -> Row {
    Row { what, change: Change::Nothing, flags, code: 0, verdicts, files }
}

/// A change, and flags of this build alone.
pub const fn both(
    what: &'static str,
    change: Change,
    flags: &'static [&'static str],
    verdicts: &'static str,
    files: &'static [(&'static str, &'static str)],
) -> Row {
    Row { what, change, flags, code: 0, verdicts, files }
}

/// A change behind which the build fails.
pub const fn failing(
    what: &'static str,
    change: Change,
    flags: &'static [&'static str],
    verdicts: &'static str,
) -> Row {
    Row { what, change, flags, code: 1, verdicts, files: &[] }
}
