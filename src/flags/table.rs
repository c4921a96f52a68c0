//! What a flag is: its kind, who has it since when, and what it does to the cache.
//!
//! The rows themselves are in `rows` (flags of `build`) and `globals` (flags of the engines' own, which
//! choose a storage, a log level and the like).

use std::fmt;

pub use super::globals::GLOBALS;
pub use super::rows::FLAGS;

/// How often a flag counts and how it takes its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A switch: alone it is true, and a value stands behind `=` only.
    Bool,
    /// A value that may be missing and stands behind `=` only.
    OptionalValue,
    /// One value; the last one counts.
    Value,
    /// Each use adds a value, taken as it stands.
    Append,
    /// Each use adds values, split at commas as CSV.
    CommaList,
}

/// What a value is, as far as the parser and completions care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// Anything.
    Text,
    /// A signed number of 64 bits.
    Int,
    /// A number of 64 bits without sign.
    Uint,
    /// A file.
    File,
    /// A folder.
    Dir,
    /// One of these words; others are left to whoever reads the value.
    Choice(&'static [&'static str]),
}

/// Which programs have the flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engines {
    /// buildah and podman.
    Both,
    /// `buildah build` alone.
    Buildah,
    /// `podman build` alone.
    Podman,
    /// podman-stagecache itself.
    Ours,
}

/// Where a flag goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Can change what a step produces: to each step call, and into the step's key.
    Key,
    /// To each step call, not into the key.
    Pass,
    /// Concerns the final image alone: used where that is made.
    Final,
    /// Read here and not handed to a step.
    Ours,
}

/// A version of buildah, or of podman where that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl Version {
    /// `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Reads the first two numbers of `1.28.2` or `1.45.0-dev`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().trim_start_matches('v').splitn(3, '.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?;
        let digits = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
        Some(Self { major, minor: minor[..digits].parse().ok()? })
    }

    /// The buildah inside a podman. A podman that is newer than the list has at least the last one.
    pub fn of_buildah_in_podman(podman: Self) -> Self {
        let known = PODMAN_BUILDAH.iter().rev().find(|(name, _)| *name <= podman);
        known.unwrap_or(&PODMAN_BUILDAH[0]).1
    }

    /// The first podman that contains this buildah, when the list knows one.
    pub fn of_podman_with_buildah(buildah: Self) -> Option<Self> {
        PODMAN_BUILDAH.iter().find(|(_, inside)| *inside >= buildah).map(|(name, _)| *name)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// podman and the buildah that it is built with, oldest first.
const PODMAN_BUILDAH: &[(Version, Version)] = &[
    (Version::new(4, 3), Version::new(1, 28)),
    (Version::new(4, 4), Version::new(1, 29)),
    (Version::new(4, 5), Version::new(1, 30)),
    (Version::new(4, 6), Version::new(1, 31)),
    (Version::new(4, 7), Version::new(1, 32)),
    (Version::new(4, 8), Version::new(1, 33)),
    (Version::new(5, 0), Version::new(1, 35)),
    (Version::new(5, 1), Version::new(1, 36)),
    (Version::new(5, 2), Version::new(1, 37)),
    (Version::new(5, 3), Version::new(1, 38)),
    (Version::new(5, 4), Version::new(1, 39)),
    (Version::new(5, 5), Version::new(1, 40)),
    (Version::new(5, 6), Version::new(1, 41)),
    (Version::new(5, 7), Version::new(1, 42)),
    (Version::new(5, 8), Version::new(1, 43)),
    (Version::new(6, 0), Version::new(1, 44)),
];

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagSpec {
    /// The long name without dashes; what aliases and the short form become.
    pub name: &'static str,
    /// The short form.
    pub short: Option<char>,
    /// Other long names.
    pub aliases: &'static [&'static str],
    /// How it takes its value.
    pub kind: Kind,
    /// The value's name in `--help`; empty for a switch.
    pub value_name: &'static str,
    /// What the value is.
    pub value_type: ValueType,
    /// The first buildah that has it; 1.28 for all that is older, and for ours.
    pub since: Version,
    /// Who has it.
    pub engines: Engines,
    /// Left out of `--help`, as the engines do.
    pub hidden: bool,
    /// Works with an engine that lacks it, because we do it.
    pub emulated: bool,
    /// Where it goes.
    pub role: Role,
    /// One line for `--help`.
    pub help: &'static str,
    /// Why it has this role.
    pub reason: &'static str,
}

impl FlagSpec {
    pub(super) const fn row(role: Role, name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            short: None,
            aliases: &[],
            kind,
            value_name: "",
            value_type: ValueType::Text,
            since: Version::new(1, 28),
            engines: Engines::Both,
            hidden: false,
            emulated: false,
            role,
            help: "",
            reason: "",
        }
    }

    pub(super) const fn says(mut self, help: &'static str, reason: &'static str) -> Self {
        self.help = help;
        self.reason = reason;
        self
    }

    pub(super) const fn value(mut self, name: &'static str, value_type: ValueType) -> Self {
        self.value_name = name;
        self.value_type = value_type;
        self
    }

    pub(super) const fn text(self, name: &'static str) -> Self {
        self.value(name, ValueType::Text)
    }

    pub(super) const fn file(self) -> Self {
        self.value("FILE", ValueType::File)
    }

    pub(super) const fn dir(self) -> Self {
        self.value("DIR", ValueType::Dir)
    }

    pub(super) const fn int(self) -> Self {
        self.value("N", ValueType::Int)
    }

    pub(super) const fn uint(self) -> Self {
        self.value("N", ValueType::Uint)
    }

    pub(super) const fn choice(self, name: &'static str, words: &'static [&'static str]) -> Self {
        self.value(name, ValueType::Choice(words))
    }

    pub(super) const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    pub(super) const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(super) const fn since(mut self, minor: u32) -> Self {
        self.since = Version::new(1, minor);
        self
    }

    pub(super) const fn of(mut self, engines: Engines) -> Self {
        self.engines = engines;
        self
    }

    pub(super) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    pub(super) const fn emulated(mut self) -> Self {
        self.emulated = true;
        self
    }

    /// Whether `text` is the long name or an alias.
    pub fn is_called(&self, text: &str) -> bool {
        self.name == text || self.aliases.contains(&text)
    }
}

/// The flag of `build` with this long name or alias.
pub fn by_name(name: &str) -> Option<&'static FlagSpec> {
    FLAGS.iter().find(|spec| spec.is_called(name))
}

/// The flag of `build` with this short form.
pub fn by_short(short: char) -> Option<&'static FlagSpec> {
    FLAGS.iter().find(|spec| spec.short == Some(short))
}

/// The engines' own flag with this long name or alias.
pub fn global_by_name(name: &str) -> Option<&'static FlagSpec> {
    GLOBALS.iter().find(|spec| spec.is_called(name))
}

/// The engines' own flag with this short form, which counts before `build` only.
pub fn global_by_short(short: char) -> Option<&'static FlagSpec> {
    GLOBALS.iter().find(|spec| spec.short == Some(short))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_and_short_form_is_there_once() {
        for table in [FLAGS, GLOBALS] {
            let mut names = BTreeSet::new();
            for spec in table {
                for name in spec.aliases.iter().chain([&spec.name]) {
                    assert!(names.insert(name.to_string()), "{name} stands twice");
                }
                if let Some(short) = spec.short {
                    assert!(names.insert(format!("-{short}")), "-{short} stands twice");
                }
            }
        }
    }

    #[test]
    fn every_row_has_a_help_line_a_reason_and_a_fitting_value() {
        for spec in FLAGS.iter().chain(GLOBALS) {
            let name = spec.name;
            assert!(!spec.help.is_empty() && !spec.reason.is_empty(), "{name}");
            assert_eq!(spec.kind == Kind::Bool, spec.value_name.is_empty(), "{name}");
            assert!(!spec.help.ends_with('.') && !spec.reason.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn rows_are_sorted_within_their_role() {
        for table in [FLAGS, GLOBALS] {
            for pair in table.windows(2) {
                if pair[0].role == pair[1].role && pair[0].engines == pair[1].engines {
                    assert!(pair[0].name < pair[1].name, "{} {}", pair[0].name, pair[1].name);
                }
            }
        }
    }

    #[test]
    fn versions_are_read_from_what_engines_print() {
        let cases = [
            ("1.28.2", Some(Version::new(1, 28))),
            ("v5.0.0-rc1", Some(Version::new(5, 0))),
            ("1.45.0-dev", Some(Version::new(1, 45))),
            ("1.45-dev", Some(Version::new(1, 45))),
            ("1", None),
            ("x.y", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Version::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_podman_between_two_known_ones_has_the_older_buildah() {
        let inside = |major, minor| Version::of_buildah_in_podman(Version::new(major, minor));
        assert_eq!(inside(4, 9), Version::new(1, 33));
        assert_eq!(inside(5, 4), Version::new(1, 39));
        assert_eq!(inside(7, 2), Version::new(1, 44));
        assert_eq!(inside(3, 0), Version::new(1, 28));
        let first = Version::of_podman_with_buildah(Version::new(1, 34));
        assert_eq!(first, Some(Version::new(5, 0)));
        assert_eq!(Version::of_podman_with_buildah(Version::new(1, 45)), None);
    }
}
