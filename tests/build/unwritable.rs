//! What cannot be written is an error, and nobody who reads is needed.

use std::fs::File;
use std::process::{Command, Output, Stdio};

use crate::support::Scenario;

const TEXT: &str = "FROM docker.io/library/busybox AS a\nRUN echo said; echo 1 >/1; sleep 0.5\n";

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// Its standard output goes to a full disk.
fn to_full(command: &mut Command) -> Output {
    command.stdout(full()).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn every_command_fails_whose_output_cannot_be_written() {
    let scenario = Scenario::new(TEXT);
    scenario.build(&[]).ok();
    let context = scenario.context().display().to_string();
    for args in [
        &["ls"][..],
        &["ls", "--quiet"],
        &["ls", "--format=json"],
        &["ls", "--stages"],
        &["explain"],
        &["explain", "--format=json"],
        &["inspect"],
        &["info"],
        &["version"],
        &["prune", "--dry-run"],
        &["completion", "bash"],
        &["--help"],
        &["build", "--help"],
        &["plan", "--pull=never", &context],
        &["plan", "--pull=never", "--containerfiles", &context],
        &["build", "--pull=never", &context],
        &["build", "--pull=never", "--output=-", &context],
    ] {
        let mut command = scenario.program(&[]);
        let output = to_full(command.args(scenario.globals()).args(args));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{args:?}: {said}");
        assert!(said.contains("Error: ") && said.contains("No space left"), "{args:?}: {said}");
        assert!(!said.contains("panicked"), "{args:?}: {said}");
    }
}

#[test]
fn a_build_whose_id_cannot_be_told_says_that_its_image_is_there() {
    let scenario = Scenario::new(TEXT);
    let mut command = scenario.build_command(&["--tag=localhost/app:1"]);
    let output = to_full(command.arg(scenario.context()));
    let said = String::from_utf8_lossy(&output.stderr);
    let image = scenario.image("localhost/app:1").id;
    assert!(said.contains(&format!("Error: image {image} is built, but its id cannot be told")), "{said}");
    assert_eq!(output.status.code(), Some(125));
    assert_eq!(scenario.records().pop().unwrap()["status"], "succeeded");
}

#[test]
fn a_log_that_is_not_whole_is_an_error_of_a_build_that_stands() {
    let scenario = Scenario::new(TEXT);
    let id = scenario.folder().join("id");
    let built = scenario
        .build(&["--logfile=/dev/full", "--tag=localhost/app:1", &format!("--iidfile={}", id.display())])
        .fails(125);
    let image = scenario.image("localhost/app:1").id;
    let expected = format!("image {image} is built, but not all of --logfile /dev/full could be written");
    assert!(built.error().starts_with(&expected), "{}", built.stderr);
    assert_eq!(std::fs::read_to_string(id).unwrap(), format!("sha256:{image}"));
    assert_eq!(built.record["status"], "succeeded");
}

#[test]
fn a_reader_that_goes_away_is_no_error_and_talk_that_nobody_hears_ends_no_build() {
    let scenario = Scenario::new(TEXT);
    let mut command = scenario.build_command(&["--progress=plain"]);
    command.arg(scenario.context());
    let built = command.stdout(Stdio::piped()).stderr(full()).spawn().unwrap().wait_with_output().unwrap();
    assert!(built.status.success());
    assert_eq!(built.stdout.len(), 65);
    for args in [&["ls"][..], &["explain", "--format=json"], &["inspect"]] {
        let mut command = scenario.program(&[]);
        command.args(scenario.globals()).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    }
}
