//! `build` as clap sees it: for `--help`, the man page and completions. `parse` does the reading.

use std::borrow::Cow;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, ValueHint};

use super::table::{self, Engines, FLAGS, FlagSpec, GLOBALS, Kind, Role, ValueType};

/// Flags that engines have too, but that are what this program is about.
const AMONG_OURS: &[&str] =
    &["cache-from", "cache-to", "metadata-file", "progress", "save-stages", "stage-labels"];

/// Those of the engines' own flags that the program's help names; all others are taken too.
const IN_FRONT: &[&str] =
    &["engine", "root", "runroot", "storage-driver", "storage-opt", "log-level", "registries-conf"];

const EXAMPLES: &str = "\
Examples:
  podman-stagecache build -t app .
  podman-stagecache build --target builder --build-arg VERSION=2 .
  podman-stagecache build --cache-repo registry.example/cache/app -t app .
  podman-stagecache build --layers=false --save-stages --stage-labels -f Containerfile .
  podman-stagecache --root /srv/storage build --build-id-file build-id .

A switch is turned off with `=false`. Flags and the context stand in any order. A flag that only the
installed engine knows is handed to it, and is part of the cache key.";

/// The command `build` with every flag of the table, ours first.
pub fn clap_command() -> Command {
    let headings = [
        "Stages and cache",
        "What is built",
        "How steps run (part of the cache key)",
        "Registries, credentials and limits (not part of the cache key)",
        "The final image",
    ];
    let mut command = Command::new("build")
        .about("Build an image and one labelled image for every stage")
        .override_usage("podman-stagecache [ENGINE FLAGS] build [FLAGS] [CONTEXT]")
        .after_help(EXAMPLES)
        .args_override_self(true)
        .arg(
            Arg::new("CONTEXT")
                .help("The folder or URL with the files to copy (default: the current folder)")
                .value_hint(ValueHint::AnyPath),
        );
    for heading in headings {
        let rows = FLAGS.iter().filter(|spec| heading_of(spec) == heading && spec.name != "help");
        command = command.next_help_heading(heading).args(rows.map(argument));
    }
    // Names that `build` has too mean that one behind it.
    let globals = GLOBALS.iter().filter(|spec| table::by_name(spec.name).is_none());
    let globals = globals.filter(|spec| spec.name != "version").map(|spec| {
        // The short forms count before `build` only.
        argument(&FlagSpec { short: None, aliases: &[], ..*spec })
    });
    command.next_help_heading("The engine's own (before or behind build)").args(globals)
}

/// The flags that stand in front of any command: the engine's own, and `--engine`.
pub fn leading_arguments() -> Vec<Arg> {
    let ours = FLAGS.iter().filter(|spec| spec.name == "engine");
    let globals = GLOBALS.iter().filter(|spec| spec.name != "version" && spec.name != "help");
    let shown = |spec: &FlagSpec| IN_FRONT.contains(&spec.name);
    globals.chain(ours).map(|spec| argument(spec).hide(!shown(spec))).collect()
}

fn heading_of(spec: &FlagSpec) -> &'static str {
    match spec.role {
        _ if spec.engines == Engines::Ours || AMONG_OURS.contains(&spec.name) => "Stages and cache",
        Role::Ours => "What is built",
        Role::Key => "How steps run (part of the cache key)",
        Role::Pass => "Registries, credentials and limits (not part of the cache key)",
        Role::Final => "The final image",
    }
}

fn argument(spec: &FlagSpec) -> Arg {
    let mut arg = Arg::new(spec.name)
        .long(spec.name)
        .aliases(spec.aliases.iter().copied())
        .help(help_of(spec).into_owned())
        .hide(spec.hidden);
    if let Some(short) = spec.short {
        arg = arg.short(short);
    }
    if spec.kind == Kind::Bool {
        return arg.action(ArgAction::SetTrue);
    }
    arg = arg.value_name(spec.value_name).allow_hyphen_values(true).action(match spec.kind {
        Kind::Append | Kind::CommaList => ArgAction::Append,
        Kind::Bool | Kind::OptionalValue | Kind::Value => ArgAction::Set,
    });
    if spec.kind == Kind::OptionalValue {
        arg = arg.num_args(0..=1).require_equals(true);
    }
    match spec.value_type {
        ValueType::File => arg.value_hint(ValueHint::FilePath),
        ValueType::Dir => arg.value_hint(ValueHint::DirPath),
        ValueType::Choice(words) => arg.value_parser(PossibleValuesParser::new(words)),
        ValueType::Text | ValueType::Int | ValueType::Uint => arg.value_hint(ValueHint::Other),
    }
}

/// The help line, with the version where an older engine lacks the flag.
fn help_of(spec: &FlagSpec) -> Cow<'static, str> {
    let first = table::Version::new(1, 28);
    let mut notes = Vec::new();
    if spec.since > first && !spec.emulated {
        notes.push(format!("buildah {} and later", spec.since));
    }
    match spec.engines {
        Engines::Buildah => notes.push("buildah only".to_owned()),
        Engines::Podman if !spec.emulated => notes.push("podman only".to_owned()),
        _ => {}
    }
    if notes.is_empty() {
        Cow::Borrowed(spec.help)
    } else {
        Cow::Owned(format!("{} [{}]", spec.help, notes.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_fault_with_the_command() {
        clap_command().debug_assert();
    }

    #[test]
    fn help_shows_our_flags_first_and_hides_what_the_engines_hide() {
        let help = clap_command().render_long_help().to_string();
        let at = |text: &str| help.find(text).unwrap_or_else(|| panic!("{text} is in:\n{help}"));
        assert!(at("--cache-repo <REPO>") < at("--all-platforms"));
        assert!(at("--all-platforms") < at("--network <HOW>"));
        assert!(at("--network <HOW>") < at("--authfile <FILE>"));
        assert!(at("--authfile <FILE>") < at("-t, --tag <NAME>"));
        assert!(at("-t, --tag <NAME>") < at("--storage-driver <DRIVER>"));
        assert!(help.contains("--pull[=<POLICY>]"));
        assert!(help.contains("[buildah 1.33 and later]"));
        for hidden in ["--pull-never", "--blob-cache", "--loglevel", "--max-workers"] {
            assert!(!help.contains(hidden), "{hidden}");
        }
    }

    #[test]
    fn every_flag_of_the_table_is_an_argument() {
        let command = clap_command();
        for spec in FLAGS.iter().filter(|spec| spec.name != "help") {
            assert!(command.get_arguments().any(|arg| arg.get_id() == spec.name), "--{}", spec.name);
        }
    }

    #[test]
    fn completions_of_bash_can_be_made() {
        let mut command = clap_command();
        let mut script = Vec::new();
        clap_complete::generate(clap_complete::Shell::Bash, &mut command, "podman-stagecache", &mut script);
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("--stage-labels") && script.contains("--isolation"));
    }
}
