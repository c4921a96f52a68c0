//! Which flags an installed engine has, read from its `build --help`.
//!
//! For flags that are newer than the table. Hidden flags are not in the help; those the table has.

use std::collections::BTreeMap;

use super::UnknownKind;

/// The long names in a help text of pflag, with how each takes its value.
pub fn flags_in_help(help: &str) -> BTreeMap<String, UnknownKind> {
    help.lines().filter_map(flag_in_line).collect()
}

/// A line such as `  -c, --cpu-shares uint   CPU shares`: name, type word if any, three blanks, usage.
fn flag_in_line(line: &str) -> Option<(String, UnknownKind)> {
    let indented = line.strip_prefix("  ")?;
    // Two more blanks and the room of `-c, `, else a short form.
    let long = match indented.strip_prefix("    ") {
        Some(long) => long,
        None => indented.strip_prefix('-').and_then(|rest| rest.get(1..)?.strip_prefix(", "))?,
    };
    let rest = long.strip_prefix("--")?;
    let end = rest.find([' ', '[']).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    let type_word = match rest.strip_prefix(' ') {
        Some(word) if !word.starts_with(' ') => word.split("  ").next().unwrap_or_default(),
        _ => "",
    };
    let kind = match type_word {
        "" => UnknownKind::Bool,
        word if word.contains("[=") => UnknownKind::OptionalValue,
        _ => UnknownKind::Value,
    };
    (!name.is_empty()).then(|| (name.to_owned(), kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::table::{self, Engines, Kind, Version};

    const HELP: [(&str, Engines, u32); 6] = [
        (include_str!("help/buildah-1.28.txt"), Engines::Buildah, 28),
        (include_str!("help/buildah-1.39.txt"), Engines::Buildah, 39),
        (include_str!("help/buildah-1.43.txt"), Engines::Buildah, 43),
        (include_str!("help/podman-4.3.txt"), Engines::Podman, 28),
        (include_str!("help/podman-5.4.txt"), Engines::Podman, 39),
        (include_str!("help/podman-5.8.txt"), Engines::Podman, 43),
    ];

    #[test]
    fn a_type_word_means_that_the_flag_takes_a_value() {
        let help = "Flags:\n\
            \x20     --all-platforms         attempt to build for all\n\
            \x20     --creds [user[:pw]]     use for the registry\n\
            \x20 -c, --cpu-shares uint       CPU shares\n\
            \x20 -q, --quiet                 refrain\n\
            \x20     --pull string[=\"true\"]   pull the image\n\
            \x20     --tri[=false]           a switch that is on\n\
            \x20                             --not-a-flag of the line above\n\
            \x20     --last";
        let flags = flags_in_help(help);
        let expected = [
            ("all-platforms", UnknownKind::Bool),
            ("cpu-shares", UnknownKind::Value),
            ("creds", UnknownKind::Value),
            ("last", UnknownKind::Bool),
            ("pull", UnknownKind::OptionalValue),
            ("quiet", UnknownKind::Bool),
            ("tri", UnknownKind::Bool),
        ];
        assert_eq!(flags, expected.map(|(name, kind)| (name.to_owned(), kind)).into());
    }

    #[test]
    fn the_table_knows_every_flag_of_the_real_help_with_its_kind() {
        for (help, engine, minor) in HELP {
            let flags = flags_in_help(help);
            assert!(flags.len() > 80, "{engine:?} 1.{minor}: {} flags", flags.len());
            for (name, kind) in flags {
                let spec = table::by_name(&name);
                let spec = spec.unwrap_or_else(|| panic!("{engine:?} 1.{minor} has --{name}"));
                let expected = match spec.kind {
                    Kind::Bool => UnknownKind::Bool,
                    Kind::OptionalValue => UnknownKind::OptionalValue,
                    Kind::Value | Kind::Append | Kind::CommaList => UnknownKind::Value,
                };
                assert_eq!(kind, expected, "{engine:?} 1.{minor}: --{name}");
                assert!(spec.since <= Version::new(1, minor), "--{name} is in 1.{minor}");
                assert!(!spec.hidden, "--{name} is not hidden in 1.{minor}");
            }
        }
    }

    #[test]
    fn the_real_help_has_every_flag_that_the_table_says_it_has() {
        for (help, engine, minor) in HELP {
            let flags = flags_in_help(help);
            let here = |engines| engines == Engines::Both || engines == engine;
            // podman's own flag before `build`, and hidden behind it; `--help` podman leaves out.
            let elsewhere = |name: &str| engine == Engines::Podman && ["runtime", "help"].contains(&name);
            for spec in table::FLAGS.iter().filter(|spec| here(spec.engines)) {
                let expected = spec.since <= Version::new(1, minor)
                    && !spec.hidden
                    && !elsewhere(spec.name)
                    && spec.name != "progress";
                assert_eq!(flags.contains_key(spec.name), expected, "{engine:?} 1.{minor}: --{}", spec.name);
            }
        }
    }

    #[test]
    fn comma_lists_are_called_strings_and_repeated_flags_string_arrays() {
        for (help, engine, minor) in HELP {
            for line in help.lines() {
                let Some((name, _)) = flag_in_line(line) else {
                    continue;
                };
                let spec = table::by_name(&name).unwrap();
                let type_word = line.split_once(&format!("--{name} ")).map_or("", |(_, rest)| rest);
                if type_word.starts_with("strings ") {
                    assert_eq!(spec.kind, Kind::CommaList, "{engine:?} 1.{minor}: --{name}");
                }
                if type_word.starts_with("stringArray ") {
                    assert_eq!(spec.kind, Kind::Append, "{engine:?} 1.{minor}: --{name}");
                }
            }
        }
    }
}
