//! What a shell can offer where the program has to look: stages of the Containerfile, builds of the records.
//!
//! Runs while somebody waits for a Tab: nothing is asked of an engine, and what cannot be read offers nothing.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};

use crate::containerfile::{Dialect, parse};
use crate::record::BuildRecord;
use crate::store::{Store, state_folder};

/// As many builds are offered, the newest first.
const BUILDS: usize = 20;

/// Offers the stages of the Containerfile that the command line names.
pub fn stages() -> ArgValueCandidates {
    ArgValueCandidates::new(|| stage_candidates(&words()))
}

/// Offers builds.
pub fn builds() -> ArgValueCandidates {
    ArgValueCandidates::new(build_candidates)
}

/// Offers builds, and behind `BUILD/` the stages of that build.
pub fn builds_and_stages() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let Some(current) = current.to_str() else { return Vec::new() };
        let Some((build, _)) = current.split_once('/') else {
            let mut found = build_candidates();
            found.retain(|candidate| candidate.get_value().to_string_lossy().starts_with(current));
            return found;
        };
        let records = recorded();
        let Some(record) = records.iter().rev().find(|r| build == "latest" || r.build_id.ends_with(build))
        else {
            return Vec::new();
        };
        let offered = record.stages.iter().map(|stage| format!("{build}/{}", stage.name));
        offered.filter(|text| text.starts_with(current)).map(CompletionCandidate::new).collect()
    })
}

/// Adds what `build` and `plan` can offer.
pub fn of_build(command: Command) -> Command {
    command.mut_arg("target", |arg| arg.add(stages())).mut_arg("no-cache-filter", |arg| arg.add(stages()))
}

/// The command line that is being completed: what stands behind `--`.
fn words() -> Vec<OsString> {
    std::env::args_os().skip_while(|arg| arg != "--").skip(1).collect()
}

fn stage_candidates(words: &[OsString]) -> Vec<CompletionCandidate> {
    let Some(path) = containerfile(words) else { return Vec::new() };
    let Ok(bytes) = fs::read(&path) else { return Vec::new() };
    let Ok(file) = parse(bytes, &path, Dialect::Heredocs) else { return Vec::new() };
    let Ok(read) = file.stages() else { return Vec::new() };
    let named = read.stages.iter().filter_map(|stage| {
        let alias = stage.alias.clone()?;
        Some(CompletionCandidate::new(alias).help(Some(format!("FROM {}", stage.base).into())))
    });
    named.collect()
}

/// The Containerfile of a command line: `-f`, else the one in the context, else the one here.
fn containerfile(words: &[OsString]) -> Option<PathBuf> {
    let mut given = None;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let Some(text) = word.to_str() else { continue };
        let value = match text {
            "-f" | "--file" => rest.next().map(PathBuf::from),
            _ => text.strip_prefix("--file=").or_else(|| text.strip_prefix("-f")).map(PathBuf::from),
        };
        given = value.or(given);
    }
    if let Some(path) = given {
        return path.is_file().then_some(path);
    }
    let last = words.iter().rev().map(Path::new).filter(|path| path.is_dir());
    let folders = last.chain([Path::new(".")]);
    let mut files = folders.flat_map(|folder| ["Containerfile", "Dockerfile"].map(|name| folder.join(name)));
    files.find(|path| path.is_file())
}

fn build_candidates() -> Vec<CompletionCandidate> {
    let latest = CompletionCandidate::new("latest").help(Some("the newest build".into()));
    let records = recorded();
    let newest = records.iter().rev().take(BUILDS).map(|record| {
        let short = record.short_id().to_owned();
        let about = format!("{} {}", record.started, record.request.names.join(" "));
        CompletionCandidate::new(short).help(Some(about.trim().to_owned().into()))
    });
    std::iter::once(latest).chain(newest).collect()
}

/// The records of all storages, oldest first: which one is meant only the engine could say.
fn recorded() -> Vec<BuildRecord> {
    let Ok(state) = state_folder() else { return Vec::new() };
    let mut records: Vec<BuildRecord> = Store::all(&state).iter().flat_map(Store::records).collect();
    records.sort_by(|a, b| a.build_id.cmp(&b.build_id));
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(words: &[&str]) -> Vec<String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let found = stage_candidates(&words);
        found.iter().map(|candidate| candidate.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn stages_come_from_the_file_that_the_command_line_names_or_from_the_context() {
        let folder = tempfile::tempdir().unwrap();
        let context = folder.path().to_str().unwrap();
        let other = folder.path().join("other");
        fs::write(folder.path().join("Containerfile"), "FROM scratch AS a\nFROM a AS b\nFROM b\n").unwrap();
        fs::write(&other, "FROM scratch AS only\n").unwrap();
        assert_eq!(offered(&["build", "--target", "", context]), ["a", "b"]);
        assert_eq!(offered(&["build", "-f", other.to_str().unwrap(), context]), ["only"]);
        assert_eq!(offered(&["build", "--file=/no/such/file", context]), Vec::<String>::new());
    }
}
