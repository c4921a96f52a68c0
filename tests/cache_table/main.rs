//! What makes a step run again and what does not: a table of changes, each with the verdict of every step and with the
//! files that the image has to hold afterwards, so that a stale hit cannot pass.
//!
//! A scenario is built once, then changed and built again for each of its rows. Verdicts: `h` for a hit, `c` for a hit
//! because other stages gave the same bytes, `m` for a miss, `-` where a failing build did not get.
//!
//! `CASE=text` runs the scenarios of that name alone. `CLEAN=1` builds each row once more from nothing, with a cache of
//! its own, and compares all files.

mod context;
mod flags;
mod instructions;
mod stages;
mod storage;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod tricks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use support::{BASE, Built, Files, Kind, Scenario};
use table::{Case, Change, Row};

/// All scenarios.
fn cases() -> Vec<&'static Case> {
    [context::CASES, stages::CASES, instructions::CASES, flags::CASES, storage::CASES, tricks::CASES]
        .into_iter()
        .flatten()
        .collect()
}

/// The image's file, or place of its config, is as expected.
fn difference(files: &Files, config: &serde_json::Value, path: &str, expected: &str) -> Option<String> {
    if path.starts_with('/') {
        let found = config.pointer(path).unwrap_or(&serde_json::Value::Null).to_string();
        return (found != expected).then(|| format!("{path} is {found}, not {expected}"));
    }
    let found = files.get(path).map_or("-", String::as_str);
    let whole = ["file ", "folder ", "link "].iter().any(|kind| expected.starts_with(kind)) || found == "-";
    let compared = if whole { found } else { found.splitn(4, ' ').nth(3).unwrap_or(found) };
    (compared != expected).then(|| format!("{path} is {found:?}, not {expected:?}"))
}

fn apply(scenario: &mut Scenario, change: Change, last: &Built) {
    match change {
        Change::Nothing => {}
        Change::Shell(script) => drop(scenario.shell(script)),
        Change::File(text) => drop(scenario.containerfile(text)),
        Change::Edit(old, new) => {
            let text = std::fs::read_to_string(scenario.context().join("Containerfile")).unwrap();
            assert!(text.contains(old), "`{old}` is not in the Containerfile");
            scenario.containerfile(&text.replace(old, new));
        }
        Change::Engine(calls) => {
            for call in calls {
                match call.strip_prefix("podman ") {
                    Some(call) => {
                        let args: Vec<&str> = call.split(' ').collect();
                        assert!(scenario.engine_output(Kind::Podman, &args).status.success(), "{call}");
                    }
                    None => drop(scenario.engine(&call.split(' ').collect::<Vec<_>>())),
                }
            }
        }
        Change::Base(text) => base(scenario, text),
        Change::Rebase(text) => make_base(scenario, Some(text), "docker"),
        Change::Clone => drop(scenario.shell(
            "cd ..; cp -r context clone; chmod --reference=context clone; mv context gone; mv clone context",
        )),
        Change::Xattr(value) => {
            let file = scenario.context().join("d/f");
            match value {
                Some(value) => xattr::set(file, "user.x", value.as_bytes()).unwrap(),
                None => xattr::remove(file, "user.x").unwrap(),
            }
        }
        Change::Switch(kind) => scenario.switch(kind),
        Change::RemoveStage(stage) => {
            let name = last.stage(stage)["image_name"].as_str().expect("the stage's image has a name");
            scenario.engine(&["rmi", name]);
        }
        Change::RemoveStep(stage, step) => {
            let image = last.stage(stage)["steps"][step]["image"].as_str().expect("the step has an image");
            scenario.engine(&["rmi", "--force", image]);
        }
        Change::Emptied => empty(scenario),
    }
}

/// The same text gives the same image; what stands behind its first line is another file of it.
fn base(scenario: &Scenario, text: &str) {
    let folder = scenario.folder().join("base");
    std::fs::create_dir_all(&folder).unwrap();
    let (f, g) = text.split_once('\n').unwrap();
    std::fs::write(folder.join("f"), format!("{f}\n")).unwrap();
    std::fs::write(folder.join("g"), g).unwrap();
    // In docker format the same files would be another image each time.
    make_base(scenario, Some("FROM scratch\nCOPY f g /\n"), "oci");
}

fn make_base(scenario: &Scenario, containerfile: Option<&str>, format: &str) {
    let folder = scenario.folder().join("base");
    std::fs::create_dir_all(&folder).unwrap();
    if let Some(text) = containerfile {
        std::fs::write(folder.join("Containerfile"), text).unwrap();
    }
    let folder = folder.display().to_string();
    let format = format!("--format={format}");
    scenario.engine(&[
        "build",
        "--quiet",
        "--pull=never",
        "--force-rm",
        &format,
        "--timestamp=0",
        "--layers=false",
        "--tag=localhost/base:1",
        &folder,
    ]);
}

fn empty(scenario: &Scenario) {
    let kept = format!("dir:{}", scenario.folder().join("kept").display());
    let id = scenario.image(BASE).id;
    scenario.engine(&["push", "--quiet", BASE, &kept]);
    scenario.engine(&["rmi", "--all", "--force"]);
    assert_eq!(scenario.listed().len(), 0, "the storage is empty");
    scenario.engine(&["pull", "--quiet", &kept]);
    scenario.engine(&["tag", &id, BASE]);
}

fn prepared(case: &Case) -> Scenario {
    let scenario = Scenario::on(case.kind, case.file).flags(case.flags);
    for (path, text) in case.context {
        match text.strip_prefix("-> ") {
            Some(target) => scenario.link(path, target),
            None => scenario.write(path, text),
        };
    }
    if scenario.folder().join("base/Containerfile").exists() {
        make_base(&scenario, None, "docker");
    } else if case.file.contains("localhost/base:1") {
        base(&scenario, "1\n");
    }
    if case.file.contains("f.tar") {
        scenario.shell("tar -cf f.tar f");
    }
    scenario
}

/// What a build from nothing leaves, with a cache of its own on the same storage.
fn clean_files(scenario: &Scenario, row: &Row) -> Files {
    let mut command = scenario.build_command(row.flags);
    let metadata = scenario.folder().join("metadata.json");
    command
        .args(["--no-cache", "--keep-storage=all"])
        .arg(format!("--metadata-file={}", metadata.display()))
        .env("STAGECACHE_HOME", scenario.folder().join("clean-state"))
        .arg(scenario.context());
    let built = scenario.ended(command).ok();
    scenario.files(&scenario.image(&built.image()))
}

fn run(case: &Case, wrong: &Mutex<Vec<String>>) {
    let mut scenario = prepared(case);
    let mut last = scenario.build(&[]).ok();
    let steps: String =
        last.verdicts().split(", ").filter_map(|stage| stage.split_once(' ')).map(|(_, s)| s).collect();
    assert!(steps.chars().all(|letter| letter == 'm'), "{}: the first build had hits", case.name);
    for row in case.rows {
        let place = format!("{}: {}", case.name, row.what);
        apply(&mut scenario, row.change, &last);
        let built = scenario.build(row.flags);
        let problems = problems(&scenario, row, &built);
        wrong.lock().unwrap().extend(problems.into_iter().map(|problem| format!("{place}: {problem}")));
        if built.code == 0 {
            last = built;
        }
    }
    scenario.assert_clean();
}

fn problems(scenario: &Scenario, row: &Row, built: &Built) -> Vec<String> {
    if built.code != row.code {
        return vec![format!("exit code {}, not {}\n{}", built.code, row.code, built.stderr)];
    }
    let mut problems = Vec::new();
    if built.verdicts() != row.verdicts {
        problems.push(format!("verdicts `{}`, not `{}`\n{}", built.verdicts(), row.verdicts, built.stderr));
    }
    if built.code != 0 {
        return problems;
    }
    let image = scenario.image(&built.image());
    let files = scenario.files(&image);
    problems
        .extend(row.files.iter().filter_map(|(path, text)| difference(&files, &image.config, path, text)));
    if std::env::var_os("CLEAN").is_some() {
        let clean = clean_files(scenario, row);
        let all = files.keys().chain(clean.keys());
        let other: Vec<&String> = all.filter(|path| files.get(*path) != clean.get(*path)).collect();
        if !other.is_empty() {
            problems.push(format!("a clean build leaves others of {other:?}"));
        }
    }
    problems
}

#[test]
fn every_change_has_its_verdict_and_no_hit_is_stale() {
    let cases = cases();
    let rows: usize = cases.iter().map(|case| case.rows.len()).sum();
    assert!(rows >= 80, "{rows} rows");
    let only = std::env::var("CASE").ok();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(2, usize::from).max(2);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if only.as_ref().is_some_and(|only| !case.name.contains(only.as_str())) {
                        continue;
                    }
                    if catch_unwind(AssertUnwindSafe(|| run(case, &wrong))).is_err() {
                        wrong.lock().unwrap().push(format!("{}: see above", case.name));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {rows} rows:\n{}", wrong.len(), wrong.join("\n"));
}
