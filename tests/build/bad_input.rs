//! Bad input gets one clear error that names the thing, and nothing is left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use podman_stagecache::flags::{Engines, FLAGS, Kind as FlagKind, Version};

use crate::support::{BASE, BOTH, Built, Kind, Scenario};

/// One error that contains all of these, exit code 125, nothing left.
#[track_caller]
fn refused(scenario: &Scenario, built: Built, words: &[&str]) {
    if let Some(wrong) = not_refused(scenario, &built, words) {
        panic!("{wrong}:\n{}", built.stderr);
    }
    if scenario.tmp().exists() {
        scenario.assert_clean();
    }
}

/// What is wrong with how it was refused.
fn not_refused(scenario: &Scenario, built: &Built, words: &[&str]) -> Option<String> {
    if built.code != 125 {
        return Some(format!("exit code {}", built.code));
    }
    if let Some(missing) = words.iter().find(|word| !built.error().contains(**word)) {
        return Some(format!("`{missing}` is not in the error"));
    }
    if built.stderr.lines().filter(|line| line.contains("Error:")).count() != 1 || !built.stdout.is_empty() {
        return Some("more is told than one error".into());
    }
    // Only a step's call has one.
    if built.calls.iter().any(|call| call.contains("--iidfile")) {
        return Some("it is told only when something has run".into());
    }
    let half = scenario.records().iter().any(|record| record["status"] == "running");
    half.then(|| "half a record is left".into())
}

/// A Containerfile, flags, and what the error has to name.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

const ROWS: &[Row] = &[
    ("FROM docker.io/library/busybox AS a\n", &["--target=nope"], &["nope"]),
    ("FROM docker.io/library/busybox AS a\n", &["--target=7"], &["7"]),
    ("FROM docker.io/library/busybox\nCOPY --from=nope /a /b\n", &[], &["nope"]),
    ("FROM docker.io/library/busybox\nRUN --mount=type=bind,from=nope,target=/m true\n", &[], &["nope"]),
    ("FROM localhost/not-there:1\n", &[], &["localhost/not-there:1"]),
    (
        "FROM docker.io/library/busybox AS a\nFROM a\nCOPY --from=docker.io/library/none:1 /x /x\n",
        &[],
        &["docker.io/library/none:1"],
    ),
    ("", &[], &["Containerfile"]),
    ("# nothing\n", &[], &["Containerfile"]),
    ("RUN true\n", &[], &["Containerfile", "RUN"]),
    ("FROM\n", &[], &["Containerfile"]),
    ("FROM docker.io/library/busybox\nCOPY missing /\n", &[], &["missing"]),
    ("FROM docker.io/library/busybox\nADD missing* /\n", &[], &["missing*"]),
    ("FROM docker.io/library/busybox\nRUN true\n", &["--format=zip"], &["zip", "oci"]),
    ("FROM docker.io/library/busybox\nRUN true\n", &["--platform=linux/nope/x/y"], &["linux/nope/x/y"]),
    ("FROM docker.io/library/busybox\nRUN true\n", &["--keep-stages=0"], &["--keep-stages=0"]),
    ("FROM docker.io/library/busybox\nRUN true\n", &["--build-id=x"], &["--build-id=x"]),
    ("FROM docker.io/library/busybox\nRUN true\n", &["--jobs=many"], &["jobs", "many"]),
    ("FROM docker.io/library/busybox\nRUN true\n", &["--layers=maybe"], &["layers", "maybe"]),
    ("FROM docker.io/library/busybox\nRUN true\n", &["--cache-ttl=soon"], &["cache-ttl", "soon"]),
    ("FROM docker.io/library/busybox\nRUN true\n", &["--no-such-flag"], &["no-such-flag"]),
    (
        "FROM docker.io/library/busybox\nRUN true\n",
        &["--stage-labels", "--save-stages=false"],
        &["--stage-labels", "--save-stages"],
    ),
    (
        "FROM docker.io/library/busybox\nRUN true\n",
        &["--ignorefile=/nonexistent/ignore"],
        &["/nonexistent/ignore"],
    ),
    (
        "FROM docker.io/library/busybox\nCOPY --from=x /a /b\n",
        &["--build-context=x=/nonexistent/folder"],
        &["/nonexistent/folder"],
    ),
    ("FROM docker.io/library/busybox\nRUN true\n", &["--file=/nonexistent/file"], &["/nonexistent/file"]),
    ("FROM docker.io/library/busybox\nRUN true\n", &["--tag=Not Valid"], &["Not Valid"]),
    ("FROM left AS right\nFROM right AS left\n", &[], &["left", "above"]),
    ("FROM docker.io/library/busybox AS self\nCOPY --from=self /x /y\n", &[], &["self"]),
];

#[test]
fn bad_input_gets_one_error_that_names_the_thing() {
    let mut wrong = Vec::new();
    for kind in BOTH {
        let scenario = Scenario::on(kind, "");
        for (text, flags, words) in ROWS {
            scenario.containerfile(text);
            let built = scenario.build(flags);
            if let Some(problem) = not_refused(&scenario, &built, words) {
                wrong.push(format!("{kind:?} {text:?} {flags:?}: {problem}\n{}", built.stderr));
            }
        }
        scenario.assert_clean();
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

/// Flags whose fault would show when all is built, or never; `@` is a folder in which `file` and `folder` are.
const LATE: &[(&[&str], &[&str])] = &[
    (&["--iidfile=@/no/id"], &["--iidfile", "/no"]),
    (&["--iidfile=@/folder"], &["--iidfile", "folder"]),
    (&["--iidfile=@/file/id"], &["--iidfile", "/file"]),
    (&["--iidfile-raw=@/folder"], &["--iidfile-raw", "folder"]),
    (&["--build-id-file=@/no/id"], &["--build-id-file", "/no"]),
    (&["--build-id-file=@/folder"], &["--build-id-file", "folder"]),
    (&["--log-rusage", "--rusage-logfile=@/no/log"], &["--rusage-logfile", "/no"]),
    (&["--logfile=@/no/log"], &["--logfile", "/no"]),
    (&["--logfile=@/folder"], &["--logfile", "folder"]),
    (&["--output=@/file"], &["--output", "/file"]),
    (&["--output=type=local,dest=@/file/x/y"], &["--output", "/file"]),
    (&["--output=type=tar,dest=@/no/x.tar"], &["--output", "/no"]),
    (&["--output=type=tar,dest=@/folder"], &["--output", "folder"]),
    (&["--manifest=UPPER/case"], &["--manifest=UPPER/case", "lower case"]),
    (&["--manifest=a:b:c"], &["--manifest=a:b:c"]),
    (&["--manifest=docker.io/library/busybox"], &["--manifest", "no manifest list"]),
    (&["--tag=UPPER/case"], &["--tag=UPPER/case", "lower case"]),
    (&["--tag=0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"], &["--tag=0a0a"]),
    (&["--tag=a:b:c"], &["--tag=a:b:c"]),
    (&["--tag=docker://UPPER/x"], &["--tag=docker://UPPER/x", "lower case"]),
    (&["--tag=dir:@/no/x"], &["--tag=dir:", "/no"]),
    (&["--tag=oci:@/no/x:1"], &["--tag=oci:", "/no"]),
    (&["--tag=oci-archive:@/no/x"], &["--tag=oci-archive:", "/no"]),
    (&["--tag=docker-archive:@/no/x:a:1"], &["--tag=docker-archive:", "/no"]),
    (&["--progress=fancy"], &["--progress=fancy", "plain"]),
    (&["--jobs=-1"], &["--jobs"]),
    (&["--secret=id=x,src=@/no"], &["--secret", "/no"]),
    (&["--ssh=key=@/no"], &["--ssh=key", "/no"]),
    (&["--ssh=default"], &["--ssh=default", "SSH_AUTH_SOCK"]),
    (&["--volume=@/no:/x"], &["--volume", "/no"]),
    (&["--device=@/no"], &["--device", "/no"]),
    (&["--authfile=@/no"], &["--authfile", "/no"]),
    (&["--build-arg-file=@/no"], &["/no"]),
    (&["--platform=nope"], &["--platform", "nope"]),
];

#[test]
fn what_would_be_found_out_when_all_is_built_is_found_out_before_anything_runs() {
    let mut wrong = Vec::new();
    for kind in BOTH {
        let scenario = Scenario::on(kind, "FROM docker.io/library/busybox\nRUN echo 1 >/1\n");
        let folder = scenario.folder().join("given");
        fs::create_dir_all(folder.join("folder")).unwrap();
        fs::write(folder.join("file"), "").unwrap();
        for (flags, words) in LATE {
            let flags: Vec<String> =
                flags.iter().map(|flag| flag.replace('@', folder.to_str().unwrap())).collect();
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let mut command = scenario.build_command(&flags);
            let built = {
                command.arg(scenario.context()).env_remove("SSH_AUTH_SOCK");
                scenario.ended(command)
            };
            if let Some(problem) = not_refused(&scenario, &built, words) {
                wrong.push(format!("{kind:?} {flags:?}: {problem}\n{}", built.stderr));
            }
            assert!(!folder.join("no").exists());
        }
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn places_that_can_be_written_are_not_refused() {
    let scenario = Scenario::new("FROM docker.io/library/busybox\nRUN echo 1 >/1\n");
    let at = |name: &str| scenario.folder().join(name).display().to_string();
    fs::write(at("there"), "old").unwrap();
    let flags = [
        format!("--iidfile={}", at("there")),
        format!("--build-id-file={}", at("build-id")),
        "--logfile=/dev/null".to_owned(),
        format!("--output={}", at("a/b/c")),
        format!("--output=type=tar,dest={}", at("x.tar")),
        format!("--tag=dir:{}", at("image")),
        format!("--tag=oci:{}:1", at("layout")),
        format!("--volume={}:/mounted", at("context")),
        "--manifest=localhost/list:1".to_owned(),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let built = scenario.build(&flags).ok();
    assert_eq!(fs::read_to_string(at("there")).unwrap(), format!("sha256:{}", built.image()));
    for path in ["a/b/c/1", "x.tar", "image/manifest.json", "layout/index.json", "build-id"] {
        assert!(fs::exists(at(path)).unwrap(), "{path}");
    }
    // It is a list by now, to which more is added.
    scenario.build(&["--manifest=localhost/list:1"]).ok();
}

#[test]
fn a_policy_that_is_none_is_told() {
    for kind in BOTH {
        let scenario = Scenario::on(kind, "FROM docker.io/library/busybox\nRUN echo 1 >/1\n");
        let built = scenario.build(&["--pull=sometimes"]);
        // Later ones of buildah refuse it.
        assert!(
            built.code == 125 && built.builds() == 0 || built.stderr.contains("warning: --pull=sometimes")
        );
    }
}

#[test]
fn a_build_that_fails_before_its_first_step_is_on_record() {
    for (text, word) in [
        ("FROM docker.io/library/busybox\nCOPY missing /\n", "missing"),
        ("FROM localhost/not-there:1\n", "not-there"),
        ("FROM docker.io/library/busybox\nENV A=1 B\n", "ENV A=1 B"),
        ("FROM docker.io/library/busybox\n", "nope"),
    ] {
        let scenario = Scenario::new(text);
        let flags = if word == "nope" { &["--target=nope"][..] } else { &[] };
        let built = scenario.build(flags).fails(125);
        assert_eq!(scenario.records().len(), 1, "{text}");
        let record = &built.record;
        assert_eq!(record["status"], "failed", "{text}");
        assert_eq!(record["error"], built.error(), "{text}");
        assert_eq!(record["request"]["context"], scenario.context().display().to_string());
        assert_eq!(record["stages"], serde_json::json!([]));
        let run = |args: &[&str]| {
            let output = scenario.program(&[]).args(scenario.globals()).args(args).output().unwrap();
            assert!(output.status.success(), "{args:?}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        assert!(run(&["ls"]).contains("failed"), "{text}");
        let explained = run(&["explain"]);
        assert!(explained.contains("failed: ") && explained.contains(word), "{explained}");
        assert!(!explained.contains("nothing ran"), "{explained}");
        scenario.assert_clean();
    }
    // What was not found leaves nothing to tell of.
    let scenario = Scenario::new("");
    scenario.remove("Containerfile");
    scenario.build(&[]).fails(125);
    assert_eq!(scenario.records().len(), 0);
}

#[test]
fn every_flag_that_the_engine_lacks_is_refused_with_the_version_that_has_it() {
    for kind in BOTH {
        let scenario = Scenario::on(kind, "FROM docker.io/library/busybox\nRUN true\n");
        let installed = scenario.engine(&["--version"]);
        let installed = installed.split_whitespace().find_map(Version::parse).unwrap();
        let (others, buildah) = match kind {
            Kind::Buildah => (Engines::Podman, installed),
            Kind::Podman => (Engines::Buildah, Version::of_buildah_in_podman(installed)),
        };
        let lacking = FLAGS.iter().filter(|flag| flag.since > buildah && !flag.emulated);
        for flag in lacking.filter(|flag| flag.engines != others) {
            let given = match flag.kind {
                FlagKind::Bool => format!("--{}", flag.name),
                _ => format!("--{}=1", flag.name),
            };
            let built = scenario.build(&[&given]);
            let words = [format!("--{} came with {}", flag.name, kind.name()), flag.since.to_string()];
            refused(&scenario, built, &words.each_ref().map(String::as_str));
        }
    }
}

#[test]
fn a_missing_context_is_named() {
    let scenario = Scenario::new("FROM docker.io/library/busybox\n");
    let mut command = scenario.build_command(&[]);
    command.arg("/nonexistent/context");
    refused(&scenario, scenario.ended(command), &["/nonexistent/context"]);
}

#[test]
fn a_context_without_a_containerfile_is_named() {
    let scenario = Scenario::new("");
    scenario.remove("Containerfile");
    refused(&scenario, scenario.build(&[]), &["Containerfile", &scenario.context().display().to_string()]);
}

#[test]
fn a_containerfile_that_cannot_be_read_is_named() {
    let scenario = Scenario::new("");
    scenario.remove("Containerfile");
    fs::create_dir(scenario.context().join("Containerfile")).unwrap();
    refused(&scenario, scenario.build(&[]), &["Containerfile"]);
}

#[test]
fn an_error_in_the_containerfile_points_at_its_place() {
    let scenario = Scenario::new("FROM docker.io/library/busybox\nENV A=1 B\n");
    let built = scenario.build(&[]);
    refused(&scenario, built, &["Containerfile:2:", "ENV A=1 B", "^"]);
}

#[test]
fn an_engine_that_is_not_there_is_named() {
    let scenario = Scenario::new("FROM docker.io/library/busybox\n");
    for (engine, words) in
        [("/nonexistent/buildah", "/nonexistent/buildah"), ("no-such-engine", "no-such-engine")]
    {
        let mut command = scenario.program(&["build", &format!("--engine={engine}")]);
        command.arg(scenario.context());
        refused(&scenario, scenario.ended(command), &[words]);
    }
}

#[test]
fn a_machine_without_any_engine_gets_told_what_to_install() {
    let scenario = Scenario::new("FROM docker.io/library/busybox\n");
    let mut command = scenario.program(&["build"]);
    command.arg(scenario.context()).env("PATH", scenario.folder().join("empty"));
    refused(&scenario, scenario.ended(command), &["buildah", "podman", "install"]);
}

#[test]
fn an_engine_that_is_too_old_is_refused_with_its_version() {
    let scenario = Scenario::new("FROM docker.io/library/busybox\n");
    let script = "#!/bin/sh\ncase \"$*\" in\n*version*) echo '{\"version\":\"1.23.1\"}';;\n\
                  *) echo '{\"store\":{\"GraphRoot\":\"/r\",\"GraphDriverName\":\"overlay\"}}';;\nesac\n";
    let old = scenario.folder().join("buildah");
    fs::write(&old, script).unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = scenario.program(&["build", &format!("--engine={}", old.display())]);
    command.arg(scenario.context());
    refused(&scenario, scenario.ended(command), &["1.23.1", "1.27", "--engine"]);
}

#[test]
fn a_full_folder_for_temporary_files_is_named() {
    let scenario = Scenario::new("FROM docker.io/library/busybox\nRUN echo 1 >/1\n");
    let mut command = scenario.build_command(&[]);
    command.arg(scenario.context()).env("TMPDIR", "/proc/no-such-folder");
    let failed = scenario.ended(command).fails(125);
    assert!(failed.error().contains("TMPDIR"), "{}", failed.stderr);
}

#[test]
fn files_that_cannot_be_written_are_named_before_anything_runs() {
    let scenario = Scenario::new("FROM docker.io/library/busybox\nRUN true\n");
    let file = scenario.folder().join("no-such-folder/file");
    for flag in ["build-id-file", "metadata-file", "iidfile", "logfile"] {
        let mut command = scenario.build_command(&[&format!("--{flag}={}", file.display())]);
        command.arg(scenario.context());
        refused(&scenario, scenario.ended(command), &[&format!("--{flag}"), &file.display().to_string()]);
    }
}

#[test]
fn an_unknown_command_is_named_and_there_is_a_way_out() {
    let scenario = Scenario::on(Kind::Buildah, "");
    let built = scenario.ended(scenario.program(&["biuld", "."]));
    refused(&scenario, built, &["biuld", "build"]);
}

#[test]
fn an_image_that_vanished_from_the_storage_is_named() {
    let scenario = Scenario::new("FROM docker.io/library/busybox\nRUN true\n");
    scenario.engine(&["rmi", BASE]);
    refused(&scenario, scenario.build(&[]), &["docker.io/library/busybox"]);
}

#[test]
fn what_no_name_can_have_in_it_is_no_panic() {
    for kind in BOTH {
        let scenario = Scenario::on(kind, "").file("f", "1");
        for text in [
            "FROM scratch AS a\0b\nCOPY f /f\n",
            "FROM docker.io/library/busybox\nRUN echo a\0b\n",
            "FROM docker.io/library/busybox\0\nCOPY f /f\n",
            "FROM scratch AS a\nCOPY f /f\nFROM scratch\nCOPY --from=a\0 /f /f\n",
            "FROM scratch\nARG A=\0\nENV B=\0$A\nCOPY --chmod=\0 f /$A\n",
            "FROM scratch\nADD http://127.0.0.1:1/\0 /\nWORKDIR /\0\nUSER \0\n",
            "FROM scratch\nLABEL \u{e9}\u{301}\0=\u{202e}\nCOPY [\"f\\u0000\", \"/\"]\n",
        ] {
            scenario.containerfile(text);
            let built = scenario.build(&[]);
            assert!(!built.stderr.contains("panicked"), "{kind:?} {text:?}: {}", built.stderr);
            assert!([0, 1, 125, 127].contains(&built.code), "{kind:?} {text:?}: {}", built.code);
        }
    }
}

#[test]
fn variables_that_grow_without_measure_are_an_error_at_once() {
    let arguments: String =
        (1..=10).map(|n| format!("ARG A{n}={}\n", format!("$A{}", n - 1).repeat(10))).collect();
    let scenario = Scenario::new(&format!("FROM scratch\nARG A0=0123456789\n{arguments}COPY f /$A10\n"));
    let built = scenario.file("f", "1").build(&[]);
    assert_eq!(built.code, 125);
    assert!(built.error().contains("`A6=$A5$A5") && built.error().contains("4 MiB"), "{}", built.stderr);
}

#[test]
fn a_record_that_somebody_has_changed_is_no_panic() {
    let scenario = Scenario::new("FROM docker.io/library/busybox\nRUN echo 1 >/1\n");
    let built = scenario.build(&[]).ok();
    let image = built.image();
    let find =
        std::process::Command::new("grep").args(["-rl", &image]).arg(scenario.state()).output().unwrap();
    let files = String::from_utf8(find.stdout).unwrap();
    assert!(!files.is_empty());
    for id in ["abc", "", "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}"] {
        for file in files.lines() {
            // What cannot be read is put aside.
            let Ok(text) = fs::read_to_string(file) else { continue };
            fs::write(file, text.replace(&image, id)).unwrap();
        }
        for command in [&["ls"][..], &["ls", "--stages"], &["explain"], &["inspect"], &["prune", "--dry-run"]]
        {
            let mut program = scenario.program(&[]);
            program.args(scenario.globals()).args(command);
            let ended = scenario.ended(program);
            assert!(!ended.stderr.contains("panicked"), "{command:?}: {}", ended.stderr);
        }
    }
    scenario.build(&[]).ok();
}
