//! The command line as clap sees it, and nothing else.
//!
//! `build` and `plan` take the flags of the table in `flags`, which also reads them; what stands here of the two is
//! for `--help`, man pages and completions.

use std::path::PathBuf;

use clap::{Args, Command, Subcommand, ValueHint};

use crate::completion;
use crate::flags;

const EXAMPLES: &str = "\
Examples:
  podman-stagecache build -t app .
  podman-stagecache plan -t app .
  podman-stagecache explain
  podman-stagecache ls --stages
  podman-stagecache --root /srv/storage ls

Every flag of buildah or podman that stands in front of `build` may stand in front of the command here.";

/// The commands that build, in the words that podman, buildah and docker have for it.
pub const BUILD_ALIASES: &[&str] = &["bud", "build-using-dockerfile"];

/// Groups in which `build` stands too: `image build`, `buildx build`.
pub const BUILD_GROUPS: &[&str] = &["image", "buildx"];

/// The commands other than `build` and `plan`.
#[derive(Debug, Clone, Subcommand)]
pub enum Cli {
    /// Tell why each step of a build ran or did not; between two builds, what differs
    Explain(ExplainArgs),
    /// List builds, or the images of stages
    #[command(visible_alias = "list")]
    Ls(LsArgs),
    /// Show a build, a stage or a step as JSON
    Inspect(InspectArgs),
    /// Remove stage images and what is kept of builds
    Prune(PruneArgs),
    /// Write a shell's completion script
    Completion(CompletionArgs),
    /// Write the man pages into a folder
    Man(ManArgs),
    /// Show the versions of this program and of the engine
    Version(FormatArgs),
    /// Show engine, storage and state folder
    Info(FormatArgs),
}

/// Which engine and storage a command works on; the same flags may stand in front of the command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Engine and storage (before or behind the command)")]
pub struct EngineArgs {
    /// buildah, podman, or a program at a path
    #[arg(long, value_name = "ENGINE")]
    pub engine: Option<String>,
    /// The storage's folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub root: Option<PathBuf>,
    /// The folder of the storage's state
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub runroot: Option<PathBuf>,
    /// The storage driver
    #[arg(long, value_name = "DRIVER")]
    pub storage_driver: Option<String>,
}

/// A command that shows one thing.
#[derive(Debug, Clone, Args)]
pub struct FormatArgs {
    /// `json`, or a Go template such as '{{.engine.name}}'
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Engine and storage.
    #[command(flatten)]
    pub engine: EngineArgs,
}

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  podman-stagecache explain
  podman-stagecache explain latest --format json
  podman-stagecache explain 77c1a2b3 latest

A build is meant by the first or last digits of its id, or by `latest`.";

/// `explain`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub struct ExplainArgs {
    /// The build (default: the latest), or two builds to compare
    #[arg(value_name = "BUILD", num_args = 0..=2, add = completion::builds())]
    pub builds: Vec<String>,
    /// `json` for the documented shape
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Engine and storage.
    #[command(flatten)]
    pub engine: EngineArgs,
}

const LS_EXAMPLES: &str = "\
Examples:
  podman-stagecache ls --last 5
  podman-stagecache ls --filter status=failed --filter since=24h
  podman-stagecache ls --stages --filter stage=builder
  podman-stagecache ls --format 'table {{.ID}}\\t{{.Status}}\\t{{.Names}}'
  podman-stagecache ls --stages -q --no-trunc

Filters: status, stage, name, label, since, before. Those of one kind are alternatives, those of different \
kinds hold together. since and before take a time, an age (90m, 24h, 7d) or a build.";

/// `ls`.
#[derive(Debug, Clone, Args)]
#[command(after_help = LS_EXAMPLES)]
pub struct LsArgs {
    /// List the images of stages instead of builds
    #[arg(short, long)]
    pub stages: bool,
    /// With --stages: images that are no longer in the storage too
    #[arg(short, long)]
    pub all: bool,
    /// Only what matches
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// `json`, or a Go template, with `table ` in front for columns
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Ids only
    #[arg(short, long)]
    pub quiet: bool,
    /// Whole ids
    #[arg(long)]
    pub no_trunc: bool,
    /// No headings
    #[arg(long)]
    pub noheading: bool,
    /// Only the last N builds
    #[arg(short = 'n', long, value_name = "N")]
    pub last: Option<usize>,
    /// Engine and storage.
    #[command(flatten)]
    pub engine: EngineArgs,
}

const INSPECT_EXAMPLES: &str = "\
Examples:
  podman-stagecache inspect
  podman-stagecache inspect latest/builder/2
  podman-stagecache inspect --format '{{.result.image}}' latest
  podman-stagecache inspect --format '{{json .steps}}' latest/builder
  podman-stagecache inspect app:1

A build is meant by the first or last digits of its id, or by `latest`; a stage by its name or position; a \
step by its number as `build` shows it, from 1. An image's id or name finds the stage that made it.";

/// `inspect`.
#[derive(Debug, Clone, Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub struct InspectArgs {
    /// What to show (default: the latest build)
    #[arg(value_name = "BUILD[/STAGE[/STEP]]|IMAGE", add = completion::builds_and_stages())]
    pub targets: Vec<String>,
    /// A Go template such as '{{.status}}'; `json` for JSON without line breaks
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Engine and storage.
    #[command(flatten)]
    pub engine: EngineArgs,
}

const PRUNE_EXAMPLES: &str = "\
Examples:
  podman-stagecache prune --dry-run
  podman-stagecache prune --older-than 14d
  podman-stagecache prune --keep-stages 1 --stage builder
  podman-stagecache prune --all --records

Without a choice, what goes is what no build can use any more: images that nothing kept stands on, and files \
about images that are gone. An image with a name of yours is never removed.";

/// `prune`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = PRUNE_EXAMPLES)]
pub struct PruneArgs {
    /// Say what would go, and remove nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Stage images that no build has used for so long: 90m, 24h, 14d, 2w
    #[arg(long, value_name = "DURATION")]
    pub older_than: Option<String>,
    /// Every stage image; with no other choice also records and keys
    #[arg(short, long)]
    pub all: bool,
    /// All but the last N images of each stage of each build
    #[arg(long, value_name = "N")]
    pub keep_stages: Option<usize>,
    /// Only images of this stage
    #[arg(long, value_name = "STAGE", add = completion::stages())]
    pub stage: Vec<String>,
    /// The oldest images until the cache is no larger than this: 20GB, 10%
    #[arg(long, value_name = "SIZE")]
    pub keep_storage: Option<String>,
    /// Records of builds too: those older than --older-than, else those that have no image left
    #[arg(long)]
    pub records: bool,
    /// `json` for the documented shape
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Engine and storage.
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// `completion`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  podman-stagecache completion bash > /etc/bash_completion.d/podman-stagecache
  podman-stagecache completion fish > ~/.config/fish/completions/podman-stagecache.fish

Completion that knows stages and builds: source <(COMPLETE=bash podman-stagecache)")]
pub struct CompletionArgs {
    /// The shell
    pub shell: clap_complete::Shell,
    /// Write to this file instead of standard output
    #[arg(short = 'f', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}

/// `man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// The folder (default: the current one); `-` writes the first page to standard output
    #[arg(value_name = "FOLDER", default_value = ".", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
}

/// The whole command line.
pub fn command() -> Command {
    let program = Command::new("podman-stagecache")
        .bin_name("podman-stagecache")
        .version(env!("CARGO_PKG_VERSION"))
        .override_usage("podman-stagecache [ENGINE FLAGS] COMMAND [FLAGS] [ARGUMENTS]")
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .next_help_heading("The engine's own (in front of the command)")
        .args(flags::command::leading_arguments())
        .subcommand(build_command())
        .subcommand(plan_command());
    // clap takes what is said about the enum for what is said about the program.
    Cli::augment_subcommands(program)
        .about("Build multi-stage Containerfiles with buildah or podman, cache every stage, and say why a step ran")
        .long_about(None)
}

fn build_command() -> Command {
    completion::of_build(flags::clap_command()).visible_aliases(BUILD_ALIASES.iter().copied())
}

fn plan_command() -> Command {
    completion::of_build(flags::clap_command())
        .name("plan")
        .about("Tell what a build would run and why; nothing is run")
        .override_usage("podman-stagecache [ENGINE FLAGS] plan [FLAGS] [CONTEXT]")
        .after_help(
            "Examples:\n  podman-stagecache plan -t app .\n  podman-stagecache plan --target builder --format json .\n  \
             podman-stagecache plan --containerfiles .\n\nTakes every flag of build; --format=oci and --format=docker \
             mean the image's format, as there.",
        )
        .mut_arg("format", |arg| {
            arg.help("`json` for the plan as JSON; oci or docker: the format of the image")
                .value_parser(clap::builder::PossibleValuesParser::new(["json", "oci", "docker"]))
        })
        .mut_arg("print-containerfiles", |arg| arg.visible_alias("containerfiles"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_fault_with_the_commands() {
        command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself() {
        for sub in command().get_subcommands() {
            assert!(sub.get_about().is_some(), "{}", sub.get_name());
        }
    }
}
