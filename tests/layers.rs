//! Holds the layers of the source: a module uses only modules of its own layer or of those below it.
//!
//! Reads the `use crate::` lines and the paths in the code, test modules left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules, a line a layer, the topmost first.
const LAYERS: &[&[&str]] = &[
    &["main", "cli", "completion", "cmd"],
    &["session", "recording", "execute", "report", "source", "request"],
    &["step_text", "upkeep"],
    &["patch", "plan", "prepare", "bases", "store", "engine", "tip", "squashed", "event", "order"],
    &[
        "graph",
        "step",
        "key",
        "render",
        "heredoc",
        "context",
        "verdict",
        "record",
        "names",
        "host",
        "given_env",
        "destination",
    ],
    &["remote", "shelf"],
    &["containerfile", "image_config", "flags", "image", "process", "sealed"],
    &["address", "atomic", "trust", "veil", "visible"],
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Each module with those that it uses, and where.
fn uses() -> BTreeMap<String, BTreeMap<String, String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    let mut uses: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for file in files {
        let path = file.strip_prefix(&root).unwrap();
        let first = path.iter().next().unwrap().to_str().unwrap();
        let module = first.strip_suffix(".rs").unwrap_or(first);
        let name = path.file_stem().unwrap().to_str().unwrap();
        if module == "lib" || name == "tests" || name.ends_with("_tests") {
            continue;
        }
        let used = uses.entry(module.to_owned()).or_default();
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            // Test modules stand at the end of a file.
            if line == "#[cfg(test)]" {
                break;
            }
            if line.trim_start().starts_with("//") {
                continue;
            }
            for name in named(line) {
                used.entry(name)
                    .or_insert_with(|| format!("src/{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    uses
}

/// The modules that a line names, `use crate::{a, b}` in one line included.
fn named(line: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for prefix in ["crate::", "podman_stagecache::"] {
        for (at, _) in line.match_indices(prefix) {
            let rest = &line[at + prefix.len()..];
            let list = match rest.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap_or_default().split(',').map(str::trim).collect(),
                None => vec![rest],
            };
            for word in list {
                let name: String = word.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                found.insert(name);
            }
        }
    }
    found
}

#[test]
fn every_module_has_a_layer() {
    let unknown: Vec<String> = uses().into_keys().filter(|module| layer(module).is_none()).collect();
    assert_eq!(unknown, [""; 0], "modules without a layer: give them a line in LAYERS");
}

#[test]
fn arrows_run_downwards_only() {
    let mut upwards = Vec::new();
    for (module, used) in uses() {
        for (name, place) in used {
            let (Some(from), Some(to)) = (layer(&module), layer(&name)) else {
                upwards.push(format!("{place}: `{name}` is no module that has a layer"));
                continue;
            };
            if to < from {
                upwards.push(format!("{place}: `{module}` is below `{name}`"));
            }
        }
    }
    assert!(upwards.is_empty(), "{} uses point upwards:\n{}", upwards.len(), upwards.join("\n"));
}

#[test]
fn modules_of_one_layer_do_not_use_each_other_in_circles() {
    let uses = uses();
    for start in uses.keys() {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&String> = uses[start].keys().filter(|name| *name != start).collect();
        while let Some(name) = next.pop() {
            assert_ne!(name, start, "`{start}` uses itself through {seen:?}");
            if seen.insert(name) {
                next.extend(uses.get(name).into_iter().flat_map(BTreeMap::keys).filter(|used| *used != name));
            }
        }
    }
}

#[test]
fn the_lines_are_read_as_they_are_written() {
    let names = |line: &str| named(line).into_iter().collect::<Vec<_>>();
    assert_eq!(names("use crate::image::{ImageId, StoredImage};"), ["image"]);
    assert_eq!(names("use crate::{atomic, key::StepKey};"), ["atomic", "key"]);
    assert_eq!(names("    crate::tip::leaf(&x).map(crate::image::hex)"), ["image", "tip"]);
    assert_eq!(names("use podman_stagecache::cmd;"), ["cmd"]);
    assert_eq!(names("let crates = 1;"), [""; 0]);
}
