//! The suite's command line.

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};

use crate::corpus::Mode;

/// Builds each case with an engine and with podman-stagecache and compares what comes out. Without an engine only the
/// corpus itself is checked.
#[derive(Clone, Debug, Parser)]
#[command(name = "conformance")]
pub struct Options {
    /// An engine: `buildah`, `podman`, or the path of one (repeatable)
    #[arg(long, value_name = "PROGRAM")]
    pub engine: Vec<String>,
    /// Words before each call of an engine and of the subject, for engines that live in a root of their own
    #[arg(long, value_name = "COMMAND", default_value = "", allow_hyphen_values = true)]
    pub engine_command: String,
    /// What is compared with the engine: `stagecache`, `engine` (the engine once more), or a program that is called as
    /// the engine is
    #[arg(long, value_name = "PROGRAM", default_value = "stagecache")]
    pub subject: String,
    /// The podman-stagecache to use
    #[arg(long, value_name = "PROGRAM", default_value = env!("CARGO_BIN_EXE_podman-stagecache"))]
    pub stagecache: String,
    /// Only cases `SUBJECT/NAME`, `*` stands for anything (repeatable)
    #[arg(long, value_name = "PATTERN")]
    pub filter: Vec<String>,
    /// What is built: `corpus` (the default), `mutations` (a change to each of its cases, behind the case itself), `pairs`
    /// (flags of the program's table, two and two); repeatable
    #[arg(long, value_name = "SOURCE")]
    pub of: Vec<Source>,
    /// Instead of the corpus: what builds in this folder, with `record-bats`' records and Go tests in it (repeatable)
    #[arg(long, value_name = "DIR")]
    pub contexts: Vec<PathBuf>,
    /// Only so many cases, other ones each time
    #[arg(long, value_name = "N")]
    pub draw: Option<usize>,
    /// What is drawn with; printed where it is not given
    #[arg(long, value_name = "TEXT")]
    pub seed: Option<String>,
    /// Only this mode: layers or squashed
    #[arg(long, value_name = "MODE")]
    pub mode: Option<Mode>,
    /// From which cache the subject builds: `cold` (the default), `full` (a second time), `half` (after a build of the
    /// Containerfile's first half), `among` (all cases in one storage); repeatable
    #[arg(long, value_name = "CACHE")]
    pub cache: Vec<CacheState>,
    /// How many cases at a time
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub jobs: usize,
    /// Build as this user, who needs subordinate ids; without a name as the one who calls
    #[arg(long, value_name = "USER", num_args = 0..=1, default_missing_value = "")]
    pub rootless: Option<String>,
    /// The storage driver: overlay where it works, else vfs
    #[arg(long, value_name = "DRIVER")]
    pub driver: Option<String>,
    /// Where storages and contexts are made: in memory where there is room, else in the temporary folder
    #[arg(long, value_name = "DIR", default_value_os_t = roomy_dir())]
    pub dir: PathBuf,
    /// Print the cases and build nothing
    #[arg(long)]
    pub list: bool,
    /// Also write the results as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Build nothing: draw the table of results that earlier runs have saved (repeatable)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub from: Vec<PathBuf>,
    /// How results are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Keep the folders of wrong cases and say where they are
    #[arg(long)]
    pub keep: bool,
    /// Neither use nor keep native results on disk
    #[arg(long)]
    pub no_native_cache: bool,
    /// Check that the suite finds planted errors: each wrapper in `planted/` must be reported as it says
    #[arg(long)]
    pub planted: bool,
    /// Print each case as it is done
    #[arg(long, short)]
    pub verbose: bool,
    /// What `cargo test` hands to every test program
    #[arg(long, hide = true)]
    nocapture: bool,
    #[arg(long, short, hide = true)]
    pub quiet: bool,
    #[arg(long, hide = true)]
    test_threads: Option<String>,
    #[arg(hide = true)]
    names: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    /// A table for a README
    Markdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CacheState {
    Cold,
    Full,
    Half,
    Among,
}

/// Where cases come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Source {
    Corpus,
    Mutations,
    Pairs,
}

impl CacheState {
    pub fn name(self) -> &'static str {
        match self {
            CacheState::Cold => "cold",
            CacheState::Full => "full",
            CacheState::Half => "half",
            CacheState::Among => "among",
        }
    }
}

/// Engines sync each of their small files: in memory the suite takes half the time.
fn roomy_dir() -> PathBuf {
    const ROOM: u64 = 2 << 30;
    let memory = Path::new("/dev/shm");
    match nix::sys::statvfs::statvfs(memory) {
        Ok(found) if found.blocks_available() * found.fragment_size() >= ROOM => memory.to_owned(),
        _ => std::env::temp_dir(),
    }
}
