//! Every command of the README runs, in the order in which it stands there, in a storage of its own.

use std::path::Path;
use std::process::Command;

/// Makes the storage, takes `make` and `sudo` for what they are here, and ends with the blocks of the README.
///
/// `make install` installs the program under test into a folder, and what follows uses it from there. The other targets are run by
/// CI itself, which is looked up.
const BEFORE: &str = r#"
set -euo pipefail
. "$REPOSITORY/contrib/storage.sh"
storage_open "$FOLDER/storage"
trap 'storage_close "$FOLDER/storage"' EXIT
storage_base docker.io/library/busybox:latest
storage_isolation

sudo() { "$@"; }
make() {
    case $* in
        install)
            command make -C "$REPOSITORY" --no-print-directory install \
                PROGRAM="$PROGRAM" MANOUT="$FOLDER/man" DESTDIR="$FOLDER/installed" PREFIX=/usr
            PATH=$FOLDER/installed/usr/bin:$PATH
            ;;
        *) grep -q "make --no-print-directory $*\$" "$REPOSITORY/.ci/run" ;;
    esac
}
ln -s "$REPOSITORY/contrib" "$FOLDER/contrib"
cd "$FOLDER"
set -x
"#;

/// The blocks marked as `sh`.
fn commands(readme: &str) -> Vec<&str> {
    readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    std::fs::read_to_string(repository().join("README.md")).unwrap()
}

/// The rows of the tables that say what enters a key and what does not.
fn key_rows(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim_start_matches("//! "));
    let rows = lines
        .skip_while(|line| !line.starts_with("| enters the key"))
        .take_while(|line| line.is_empty() || *line == "//!" || line.starts_with('|'));
    rows.filter(|line| line.starts_with('|')).map(str::to_owned).collect()
}

#[test]
fn the_tables_of_what_enters_a_key_are_those_of_the_code() {
    let code = std::fs::read_to_string(repository().join("src/key.rs")).unwrap();
    // There the rows lead to the table of flags.
    let code: Vec<String> =
        key_rows(&code).into_iter().map(|row| row.replace(" (the table in `flags`)", "")).collect();
    assert!(code.len() > 20, "{code:#?}");
    assert_eq!(key_rows(&readme()), code);
}

#[test]
fn every_command_runs() {
    let readme = readme();
    let blocks = commands(&readme);
    assert!(blocks.len() > 5, "the blocks are marked otherwise than expected");
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .arg("-c")
        .arg(format!("{BEFORE}\n{}", blocks.concat()))
        .env("REPOSITORY", repository())
        .env("FOLDER", folder.path())
        .env("PROGRAM", env!("CARGO_BIN_EXE_podman-stagecache"))
        // The program under test is the one that the README installs, and no other.
        .env("PATH", path_without_the_program())
        .env_remove("MAKEFLAGS")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}", said.lines().rev().take(40).collect::<Vec<_>>().join("\n"));
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("localhost/stagecache/builder"), "no image of the builder stage is shown: {out}");
    assert!(said.contains("(0 of 5 stages ran)"), "the same again runs nothing: {said}");
}

fn path_without_the_program() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others = std::env::split_paths(&path).filter(|folder| !folder.join("podman-stagecache").exists());
    std::env::join_paths(others).unwrap()
}

#[test]
fn the_table_of_what_enters_a_key_is_that_of_the_code() {
    let code = std::fs::read_to_string(repository().join("src/key.rs")).unwrap();
    let readme = readme();
    let rows: Vec<&str> = code
        .lines()
        .filter_map(|line| line.strip_prefix("//! |"))
        .filter(|row| !row.starts_with("---"))
        .collect();
    assert!(rows.len() > 10, "src/key.rs holds its table otherwise than expected");
    for row in rows {
        let row = format!("|{}", row.replace(" (the table in `flags`)", ""));
        assert!(readme.contains(&row), "the README lacks this row of src/key.rs: {row}");
    }
}
