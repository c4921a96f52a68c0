//! The commands around `build`, on the installed buildah, in private storages.

mod commands_support;
#[path = "support/schema.rs"]
mod schema;

use std::process::Stdio;

use commands_support::{Workshop, redacted};

const FILE: &str = "\
FROM busybox AS base
RUN mkdir /work
CMD [\"sh\"]
FROM base AS build
ARG VERSION=1
COPY src /work/src
RUN cat /work/src/* > /work/out
RUN echo $VERSION > /work/version
FROM busybox AS unused
RUN false
FROM busybox AS final
COPY --from=build /work/out /out
ENTRYPOINT [\"cat\", \"/out\"]
";

fn project() -> Workshop {
    let workshop = Workshop::new();
    workshop.file("Containerfile", FILE);
    workshop.file("src/a", "1");
    workshop
}

#[test]
fn plan_tells_what_runs_and_runs_nothing() {
    let workshop = project();
    let plan = redacted(&workshop.out(&["plan", "."]));
    let expected = "\
stage base (lines 1-3, FROM busybox)
  1/1 run  RUN mkdir /work
            - first build of this step
stage build (lines 4-8, FROM base)
  1/3 run  COPY src /work/src
            - first build of this step
  2/3 run  RUN cat /work/src/* > /work/out
            - first build of this step
  3/3 run  RUN echo $VERSION > /work/version
            - first build of this step
stage final (lines 11-13, FROM busybox)
  1/1 open  COPY --from=build /work/out /out
            - first build of this step
not needed: unused
4 of 5 steps run, 1 more unless the bytes they take are the same
";
    assert_eq!(plan, expected);
    assert_eq!(workshop.out(&["ls", "-q"]), "");
    assert_eq!(workshop.engine(&["images", "-q"]).stdout.lines().count(), 1);

    workshop.out(&["build", "-q", "-t", "app:1", "."]);
    assert_eq!(workshop.out(&["plan", "."]).lines().last(), Some("nothing runs: 5 steps cached"));
    workshop.file("src/a", "2");
    let plan = redacted(&workshop.out(&["plan", "."]));
    let expected = "\
stage base (lines 1-3, FROM busybox)
  1/1 cached  RUN mkdir /work TOOK
stage build (lines 4-8, FROM base)
  1/3 run  COPY src /work/src TOOK
              - COPY src: src/a modified
  2/3 run  RUN cat /work/src/* > /work/out TOOK
              - the step before it runs
  3/3 run  RUN echo $VERSION > /work/version TOOK
              - the step before it runs
stage final (lines 11-13, FROM busybox)
  1/1 open  COPY --from=build /work/out /out TOOK
              - stage build runs (COPY src: src/a modified)
not needed: unused
3 of 5 steps run, 1 more unless the bytes they take are the same; that took TOOK last time
";
    assert_eq!(plan, expected);
    let json: serde_json::Value =
        serde_json::from_str(&workshop.out(&["plan", "--format", "json", "."])).unwrap();
    assert_eq!(
        (&json["schema"], &json["run"], &json["open"], &json["steps"]),
        (&1.into(), &3.into(), &1.into(), &5.into())
    );
    assert_eq!(json["stages"][1]["steps"][0]["reasons"][0]["text"], "COPY src: src/a modified");
}

#[test]
fn containerfiles_are_shown_as_they_are_built() {
    let workshop = project();
    workshop.out(&["build", "-q", "-t", "app:1", "--target", "base", "."]);
    let shown = redacted(&workshop.out(&["plan", "--containerfiles", "--target", "build", "."]));
    let expected = "\
# stage base, step 1 of 1: cached
FROM ID64
RUN mkdir /work

# stage base, its image
FROM ID64
CMD [\"sh\"]
LABEL \"io.buildah.stage.name\"=\"base\"";
    assert!(shown.starts_with(expected), "{shown}");
    assert!(shown.contains("# stage build, step 3 of 3\nFROM <stage build, step 2>\nARG VERSION\nRUN echo $VERSION > /work/version\n"), "{shown}");
    let ran = workshop.run(&["build", "-q", "--print-containerfiles", "--target", "build", "."]);
    assert!(redacted(&ran.stderr).starts_with(expected), "{}", ran.stderr);
}

#[test]
fn builds_and_stage_images_are_listed_newest_first() {
    let workshop = project();
    workshop.out(&["build", "-q", "-t", "app:1", "."]);
    workshop.file("src/a", "2");
    workshop.out(&["build", "-q", "-t", "app:2", "."]);
    assert_eq!(workshop.run(&["build", "-q", "--target", "unused", "."]).code, Some(1));
    let expected = "\
BUILD  STARTED  STATUS  TARGET  STAGES RAN  TIME
ID12  AGO  failed  <unused>  1/1 TOOK
ID12  AGO  succeeded  localhost/app:2  2/3 TOOK
ID12  AGO  succeeded  localhost/app:1  3/3 TOOK
";
    let narrow =
        |text: String| regex::Regex::new(" {2,}").unwrap().replace_all(&redacted(&text), "  ").into_owned();
    assert_eq!(narrow(workshop.out(&["ls"])), expected);
    assert_eq!(
        workshop.out(&["ls", "--format", "{{.status}} {{.names}}", "-n", "2"]),
        "failed []\nsucceeded [localhost/app:2]\n"
    );
    assert_eq!(workshop.out(&["ls", "--filter", "status=failed", "-q"]).lines().count(), 1);
    assert_eq!(
        workshop.out(&["ls", "--filter", "name=app:1", "--filter", "since=1h", "-q"]).lines().count(),
        1
    );
    assert_eq!(workshop.out(&["ls", "--filter", "before=1h"]).lines().count(), 1);
    let expected = "\
STAGE  IMAGE ID  NAME  BASE  LAST  BUILD  CREATED  SIZE
base  ID12  localhost/stagecache/base:ID12  busybox  cached  ID12  AGO  SIZE
build  ID12  localhost/stagecache/build:ID12  base  built  ID12  AGO  SIZE
final  ID12  localhost/app:2  busybox  built  ID12  AGO  SIZE
build  ID12  localhost/stagecache/build:ID12  base  built  ID12  AGO  SIZE
final  ID12  localhost/app:1  busybox  built  ID12  AGO  SIZE
";
    assert_eq!(narrow(workshop.out(&["ls", "--stages"])), expected);
    let label = "label=io.buildah.stage.name=build";
    assert_eq!(workshop.out(&["ls", "--stages", "-q", "--no-trunc", "--filter", label]).lines().count(), 2);
    let json: serde_json::Value =
        serde_json::from_str(&workshop.out(&["ls", "--stages", "--format", "json"])).unwrap();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["stage"]), (5, &"base".into()));
}

#[test]
fn builds_stages_steps_and_images_are_inspected() {
    let workshop = project();
    let image = workshop.out(&["build", "-q", "-t", "app:1", "."]);
    let get = |args: &[&str]| workshop.out(&[&["inspect"], args].concat()).trim().to_owned();
    assert_eq!(
        get(&["--format", "{{.status}} {{len .stages}} {{.Result.Image}}"]),
        format!("succeeded 4 {}", image.trim())
    );
    assert_eq!(get(&["latest/build/2", "--format", "{{.instruction}}"]), "RUN cat /work/src/* > /work/out");
    assert_eq!(get(&["latest/1", "--format", "{{.name}}"]), "build");
    assert_eq!(get(&["app:1", "--format", "{{.name}}"]), "final");
    assert_eq!(get(&[&image[..12], "--format", "{{.name}}"]), "final");
    let id = workshop.out(&["ls", "-q"]);
    assert_eq!(get(&[id.trim(), "--format", "{{.build_id}}"])[24..], *id.trim());
    for (target, error) in [
        ("nix", "Error: `nix` is neither a build nor an image; `podman-stagecache ls` lists the builds\n"),
        (
            "latest/build/7",
            "Error: inspecting latest/build/7: stage build has no step `7`; its steps are 1 to 3\n",
        ),
        ("busybox", "Error: no recorded build made image ID12 (busybox)\n"),
    ] {
        let ran = workshop.run(&["inspect", target]);
        assert_eq!((ran.code, redacted(&ran.stderr)), (Some(125), error.to_owned()));
    }
}

#[test]
fn explain_follows_a_change_to_its_first_cause_and_compares_two_builds() {
    let workshop = project();
    workshop.out(&["build", "-q", "-t", "app:1", "."]);
    workshop.file("src/a", "2");
    workshop.file("src/b", "");
    workshop.out(&["build", "-q", "-t", "app:1", "."]);
    let expected = "\
build UUID succeeded, AGO, in TOOK
stage base (lines 1-3, FROM busybox)
  1/1 cached  RUN mkdir /work
stage build (lines 4-8, FROM base)
  1/3 ran  COPY src /work/src TOOK
              - COPY src: src/a modified, src/b added
  2/3 ran  RUN cat /work/src/* > /work/out TOOK
              - the step before it ran
              - because of build step 1 (lines 5-6): COPY src: src/a modified, src/b added
  3/3 ran  RUN echo $VERSION > /work/version TOOK
              - the step before it ran
              - because of build step 1 (lines 5-6): COPY src: src/a modified, src/b added
stage final (lines 11-13, FROM busybox)
  1/1 ran  COPY --from=build /work/out /out TOOK
              - stage build ran
              - because of build step 1 (lines 5-6): COPY src: src/a modified, src/b added
not needed: unused
4 of 5 steps ran, TOOK together
";
    assert_eq!(redacted(&workshop.out(&["explain"])), expected);
    let builds = workshop.out(&["ls", "-q"]);
    let (new, old) = builds.trim().split_once('\n').unwrap();
    let text = redacted(&workshop.out(&["explain", old, new]));
    let expected = "\
from build UUID (TIME)
to  build UUID (TIME)
stage build (lines 4-8, FROM base)
  1/3 differs  COPY src /work/src
               - COPY src: src/a modified, src/b added
               - took TOOK, before TOOK
";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.ends_with("the same: base, unused\nimage: ID12 -> ID12\n"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&workshop.out(&["explain", old, new, "--format=json"])).unwrap();
    let files = &json["stages"][1]["steps"][0]["changes"][0]["files"];
    assert_eq!((&files["added"], &files["changed_paths"]), (&1.into(), &serde_json::json!(["src/a"])));
}

#[test]
fn a_reason_leads_back_through_the_stages_to_where_it_began() {
    let workshop = project();
    workshop.out(&["build", "-q", "-t", "app:1", "."]);
    workshop.file("Containerfile", &FILE.replace("mkdir /work", "mkdir -p /work"));
    let plan = redacted(&workshop.out(&["plan", "."]));
    let change = "instruction changed: RUN mkdir /work -> RUN mkdir -p /work";
    for (step, reason) in [
        ("  1/1 run  RUN mkdir -p /work", change.to_owned()),
        ("  1/3 run  COPY src /work/src", format!("stage base runs ({change})")),
        ("  2/3 run  RUN cat /work/src/* > /work/out", "the step before it runs".into()),
        ("  1/1 open  COPY --from=build /work/out /out", format!("stage build runs (stage base: {change})")),
    ] {
        let lines: Vec<&str> = plan.lines().collect();
        let at =
            lines.iter().position(|line| line.starts_with(step)).unwrap_or_else(|| panic!("{step}: {plan}"));
        assert_eq!(lines[at + 1].trim(), format!("- {reason}"), "{plan}");
    }
}

#[test]
fn what_plan_and_explain_print_is_what_their_schemas_say() {
    let workshop = project();
    let holds = |schema: &str, args: &[&str]| {
        let value: serde_json::Value = serde_json::from_str(&workshop.out(args)).unwrap();
        // `inspect` prints a list, as podman's does.
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for value in values {
            assert_eq!(schema::faults_by(schema, &value), [""; 0], "{args:?}");
        }
    };
    holds("plan", &["plan", "--format=json", "."]);
    workshop.out(&["build", "-q", "-t", "app:1", "."]);
    workshop.file("src/a", "2");
    let plan = ["plan", "--format=json", "--build-arg=VERSION=2", "--network=host", "."];
    holds("plan", &plan);
    holds("plan", &["plan", "--format=json", "--no-cache-filter=base", "."]);
    workshop.out(&["build", "-q", "-t", "app:1", "--build-arg=VERSION=2", "."]);
    holds("plan", &["plan", "--format=json", "."]);
    holds("explain", &["explain", "--format=json"]);
    let builds = workshop.out(&["ls", "-q"]);
    let (new, old) = builds.trim().split_once('\n').unwrap();
    holds("comparison", &["explain", old, new, "--format=json"]);
    holds("build-record", &["inspect", "latest"]);
}

#[test]
fn prune_takes_what_is_asked_and_never_what_a_kept_name_stands_on() {
    let workshop = project();
    for n in ["1", "2", "3"] {
        workshop.file("src/a", n);
        workshop.out(&["build", "-q", "-t", "app:1", "."]);
    }
    let images = || workshop.engine(&["images", "-aq"]).stdout.lines().count();
    // What the names that fell out of the last three left behind.
    workshop.out(&["prune"]);
    assert_eq!(workshop.out(&["prune"]), "nothing to remove\n");
    let before = images();
    let dry = workshop.out(&["prune", "--dry-run", "--keep-stages", "1", "--stage", "build"]);
    assert_eq!(images(), before);
    assert_eq!(
        dry.lines().filter(|line| line.starts_with("localhost/stagecache/build:")).count(),
        2,
        "{dry}"
    );
    let done = workshop.out(&["prune", "--keep-stages", "1", "--stage", "build"]);
    assert_eq!(dry.replace("would remove", "removed"), done);
    // Two leaves and three steps each; a stage that others only copy from needs no tip.
    assert_eq!(images(), before - 8, "{done}");
    let ran = workshop.run(&["build", "-t", "app:1", "."]);
    assert!(ran.stderr.contains("(0 of 3 stages ran)"), "{}", ran.stderr);

    let json: serde_json::Value =
        serde_json::from_str(&workshop.out(&["prune", "--all", "--records", "--format=json"])).unwrap();
    assert_eq!(
        (&json["schema"], &json["dry_run"], &json["refused"]),
        (&1.into(), &false.into(), &serde_json::json!([]))
    );
    assert_eq!(workshop.out(&["ls", "-q"]), "");
    let left = workshop.engine(&["images", "--format", "{{.Name}}:{{.Tag}}"]).stdout;
    let mut left: Vec<&str> = left.lines().filter(|name| !name.starts_with("<none>")).collect();
    left.sort_unstable();
    assert_eq!(left, ["docker.io/library/busybox:latest", "localhost/app:1"]);
    let ran = workshop.run(&["build", "-t", "app:1", "."]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn a_build_holds_the_cache_below_its_bound() {
    let workshop = project();
    for n in ["1", "2"] {
        workshop.file("src/a", n);
        workshop.out(&["build", "-q", "-t", "app:1", "--keep-storage=1", "."]);
    }
    // What the last build made stays, whatever the bound.
    let stages = workshop.out(&["ls", "--stages", "--format", "{{.stage}}"]);
    assert_eq!(stages, "base\nbuild\nfinal\n");
    assert_eq!(workshop.out(&["plan", "."]).lines().last(), Some("nothing runs: 5 steps cached"));
}

#[test]
fn wrong_command_lines_name_the_way_out_and_exit_with_125() {
    let workshop = project();
    let commands = "the commands are build, plan, explain, ls, inspect, prune, completion, man, version, info; \
                    `podman-stagecache --help` says more";
    let state = regex::Regex::new(r"/\S*/state/storages/[0-9a-f]+").unwrap();
    for (args, error) in [
        (&["lss"][..], format!("Error: unknown command `lss`; {commands}\n")),
        (&[], format!("Error: missing command; {commands}\n")),
        (&["ls", "--filter", "x=1"], "Error: --filter x=1: there is no filter `x`; the keys are status, stage, name, label, since, before\n".into()),
        (&["prune", "--older-than", "soon"], "Error: --older-than=soon: write an age such as 90m, 24h, 14d or 2w\n".into()),
        (&["explain"], "Error: no build is recorded in STATE\n".into()),
        (&["explain", "--format", "x"], "Error: --format=x: write json, or leave it out\n".into()),
    ] {
        let ran = workshop.run(args);
        assert_eq!((ran.code, state.replace(&ran.stderr, "STATE").into_owned()), (Some(125), error), "{args:?}");
    }
}

#[test]
fn every_name_of_build_builds() {
    let workshop = project();
    for words in [&["bud"][..], &["build-using-dockerfile"], &["image", "build"], &["buildx", "build"]] {
        let args = [words, &["-q", "--target", "base", "."]].concat();
        assert_eq!(workshop.out(&args).trim().len(), 64, "{words:?}");
    }
    for args in
        [&["build", "--help"][..], &["plan", "--help"], &["--help"], &["help", "ls"], &["version"], &["info"]]
    {
        assert!(!workshop.out(args).is_empty(), "{args:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let workshop = project();
    let mut child = workshop
        .program()
        .args(["build", "--help"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()),
        (Some(0), String::new())
    );
}

#[test]
fn a_shell_is_offered_stages_and_builds() {
    let workshop = project();
    workshop.out(&["build", "-q", "--target", "base", "."]);
    let complete = |words: &[&str]| {
        let last = words.len() - 1;
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_podman-stagecache"))
            .arg("--")
            .args(words)
            .current_dir(workshop.path("project"))
            .env("STAGECACHE_HOME", workshop.path("state"))
            .envs([("COMPLETE", "bash"), ("_CLAP_IFS", "\n"), ("_CLAP_COMPLETE_SPACE", "true")])
            .env("_CLAP_COMPLETE_INDEX", last.to_string())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let program = "podman-stagecache";
    assert_eq!(complete(&[program, "build", "--target", ""]), "base\nbuild\nunused\nfinal");
    assert_eq!(complete(&[program, "build", "--target", "b"]), "base\nbuild");
    assert_eq!(complete(&[program, "inspect", "latest/f"]), "latest/final");
    let id = workshop.out(&["ls", "-q"]);
    assert!(complete(&[program, "explain", ""]).contains(id.trim()));
}
