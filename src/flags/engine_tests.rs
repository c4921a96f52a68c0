//! The installed engines read the same command lines in the same way.
//!
//! `build --help FLAGS` reads all flags before it prints the help, so it says whether they are right
//! and runs nothing. Without the engines there is nothing to compare with. `STAGECACHE_PARSE_CASES=N`
//! compares N command lines instead of 40.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::table::{self, Engines, Version};
use super::{EngineKind, parse_build};

/// The engine's fault with a command line, `None` when it takes it, or no engine.
fn fault_of(engine: EngineKind, args: &[OsString]) -> Result<Option<String>, std::io::Error> {
    let mut command = Command::new(engine.to_string());
    let output = command.args(["build", "--help"]).args(args).stdin(Stdio::null()).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let fault = stderr.lines().find_map(|line| line.strip_prefix("Error: "));
    Ok(fault.filter(|_| !output.status.success()).map(str::to_owned))
}

fn command_line(engine: EngineKind) -> impl Strategy<Value = Vec<OsString>> {
    let here = move |engines| match engine {
        EngineKind::Buildah => matches!(engines, Engines::Both | Engines::Buildah),
        EngineKind::Podman => matches!(engines, Engines::Both | Engines::Podman),
    };
    let rows: Vec<_> = table::FLAGS.iter().filter(|spec| here(spec.engines)).collect();
    let rows = rows.into_iter().filter(|spec| spec.since == Version::new(1, 28));
    // podman has its `--runtime` outside `build`, with other rules for an empty value.
    let rows: Vec<_> = rows.filter(|spec| !["runtime", "help"].contains(&spec.name)).collect();
    let long = rows.iter().map(|spec| spec.name).collect::<Vec<_>>();
    let short = rows.iter().filter_map(|spec| spec.short).collect::<Vec<_>>();
    let value = "true|false|T|0|7|-1|0x1f|1_0|x|a,b|\"a,b\"|\"a|a\"b|=|==x|[ab=,]{0,3}";
    let long = proptest::sample::select(long);
    let group = proptest::collection::vec(proptest::sample::select(short), 1..4)
        .prop_map(|letters| letters.into_iter().collect::<String>());
    let word = prop_oneof![
        (long.clone(), value).prop_map(|(name, value)| vec![format!("--{name}={value}")]),
        (long.clone(), value).prop_map(|(name, value)| vec![format!("--{name}"), value]),
        long.prop_map(|name| vec![format!("--{name}")]),
        (group.clone(), value).prop_map(|(group, value)| vec![format!("-{group}{value}")]),
        (group.clone(), value).prop_map(|(group, value)| vec![format!("-{group}={value}")]),
        (group, value).prop_map(|(group, value)| vec![format!("-{group}"), value]),
        Just(vec!["--nope".to_owned()]),
        Just(vec!["--=x".to_owned()]),
    ];
    proptest::collection::vec(word, 1..3)
        .prop_map(|words| words.concat().into_iter().map(OsString::from).collect())
}

#[test]
fn the_installed_engines_take_and_refuse_the_same_command_lines() {
    let cases = std::env::var("STAGECACHE_PARSE_CASES").ok().and_then(|cases| cases.parse().ok());
    for engine in [EngineKind::Buildah, EngineKind::Podman] {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        for _ in 0..cases.unwrap_or(40) {
            let args = command_line(engine).new_tree(&mut runner).unwrap().current();
            // buildah stops reading at the first argument that is no flag.
            let Ok(theirs) = fault_of(engine, &args) else {
                return;
            };
            let ours = parse_build(&args, &|_| None);
            let interspersed = ours.as_ref().map_or(true, |flags| flags.context.is_some());
            if engine == EngineKind::Buildah && interspersed && theirs.is_none() {
                continue;
            }
            let ours = ours.err().map(|error| error.message);
            let count = ours.as_ref().is_some_and(|fault| fault.starts_with("accepts at most"));
            // The help comes before the arguments are counted.
            assert_eq!(ours.filter(|_| !count), theirs, "{engine} build {args:?}");
        }
    }
}
