//! What a second build does: nothing, or only what stands behind the change.

use crate::support::{BOTH, Built, Kind, Scenario};
use crate::three_stages;

#[test]
fn the_same_build_again_calls_no_engine_build() {
    for kind in BOTH {
        let scenario = three_stages(kind);
        let first = scenario.build(&["--tag=app:1"]).expect("base mm, build mm, 2 m");
        assert_eq!(first.builds(), 5, "{kind:?}");
        let again = scenario.build(&["--tag=app:1"]).expect("base hh, build hh, 2 h");
        assert_eq!(again.calls, [""; 0], "{kind:?}");
        assert_eq!(again.image(), first.image());
    }
}

#[test]
fn touching_all_files_changes_nothing() {
    for kind in BOTH {
        let scenario = three_stages(kind);
        let first = scenario.build(&["--tag=app:1"]).ok();
        scenario.touch("");
        let again = scenario.build(&["--tag=app:1"]).expect("base hh, build hh, 2 h");
        assert_eq!(again.builds(), 0, "{kind:?}");
        assert_eq!(again.image(), first.image());
    }
}

#[test]
fn a_build_that_hits_gives_the_name_back_that_went_elsewhere() {
    let scenario = three_stages(Kind::Buildah);
    let first = scenario.build(&["--tag=app:1"]).ok();
    scenario.write("src", "other\n");
    scenario.build(&["--tag=app:1"]).ok();
    scenario.write("src", "s\n");
    let back = scenario.build(&["--tag=app:1"]).expect("base hh, build hh, 2 h");
    assert_eq!((back.image(), back.builds()), (first.image(), 0));
    assert_eq!(scenario.image("localhost/app:1").id, first.image());
}

#[test]
fn the_squashed_mode_too_does_nothing_the_second_time() {
    for kind in BOTH {
        let scenario = three_stages(kind);
        let first = scenario.build(&["--layers=false", "--tag=app:1"]).expect("base m, build m, 2 m");
        let again = scenario.build(&["--layers=false", "--tag=app:1"]).expect("base h, build h, 2 h");
        assert_eq!((again.builds(), again.image()), (0, first.image()), "{kind:?}");
    }
}

#[test]
fn another_value_of_an_argument_in_a_heredoc_is_another_file() {
    let text = "\
FROM docker.io/library/busybox
ARG A
COPY <<EOF /a
value $A
EOF
RUN <<EOF
cat /a /a >/twice
EOF
";
    let scenario = Scenario::new(text);
    for (value, verdicts) in [("1", "0 mm"), ("2", "0 mm"), ("1", "0 hh")] {
        let built = scenario.build(&["--build-arg", &format!("A={value}")]).expect(verdicts);
        let files = scenario.files(&scenario.image(&built.image()));
        assert!(
            format!("{:?}", files["twice"]).contains(&format!("value {value}\\nvalue {value}")),
            "{files:?}"
        );
    }
}

#[test]
fn a_change_in_the_last_stages_source_runs_only_what_stands_behind_it() {
    let text = "\
FROM docker.io/library/busybox AS build
RUN echo long >/out
FROM docker.io/library/busybox
RUN echo before >/before
COPY --from=build /out /out
COPY src /src
RUN cat /src >/behind
";
    for kind in BOTH {
        let scenario = Scenario::on(kind, text).file("src", "1\n");
        scenario.build(&[]).expect("build m, 1 mmmm");
        scenario.write("src", "2\n");
        let again = scenario.build(&[]).expect("build h, 1 hhmm");
        assert_eq!((again.taken_over(), again.builds()), (1, 1), "{kind:?}");
        let files = scenario.files(&scenario.image(&again.image()));
        assert_eq!(files["behind"], "file 644 0:0 2\n");
    }
}

#[test]
fn a_build_that_failed_at_step_seven_goes_on_there() {
    let mut text = String::from("FROM docker.io/library/busybox\n");
    for step in 1..=9 {
        let fails = if step == 7 { " && test -e /net/ok" } else { "" };
        text.push_str(&format!("RUN echo {step} >/{step}{fails}\n"));
    }
    for kind in BOTH {
        let scenario = Scenario::on(kind, &text);
        scenario.build(&[]).fails(1).assert_steps("mmmmmmm--");
        let once_more = scenario.build(&[]).fails(1);
        once_more.assert_steps("hhhhhhm--");
        assert_eq!(once_more.builds(), 1, "{kind:?}");
        scenario.containerfile(&text.replace(" && test -e /net/ok", ""));
        let again = scenario.build(&[]).ok();
        again.assert_steps("hhhhhhmmm");
        assert_eq!(again.builds(), 3, "{kind:?}");
    }
}

trait Steps {
    fn assert_steps(&self, letters: &str);
}

impl Steps for Built {
    #[track_caller]
    fn assert_steps(&self, letters: &str) {
        assert_eq!(self.verdicts(), format!("0 {letters}"), "{}", self.stderr);
    }
}

#[test]
fn what_stands_on_a_stage_that_ran_again_has_its_new_bytes() {
    let text = "\
FROM docker.io/library/busybox AS dice
RUN cat /proc/sys/kernel/random/uuid >/1
FROM dice AS labelled
LABEL x=1
FROM dice AS copied
RUN cat /1 >/2
FROM scratch
COPY --from=dice /1 /of-dice
COPY --from=labelled /1 /of-labelled
COPY --from=copied /2 /of-copied
";
    for kind in BOTH {
        let scenario = Scenario::on(kind, text);
        let mut seen = Vec::new();
        for flags in [&[][..], &["--no-cache-filter=dice"], &["--cache-ttl=0"], &["--no-cache"]] {
            let built = scenario.build(flags).ok();
            let files = scenario.files(&scenario.image(&built.image()));
            assert!(!seen.contains(&files["of-dice"]), "{kind:?} {flags:?}: the dice were not thrown");
            assert_eq!(files["of-labelled"], files["of-dice"], "{kind:?} {flags:?}");
            assert_eq!(files["of-copied"], files["of-dice"], "{kind:?} {flags:?}");
            seen.push(files["of-dice"].clone());
        }
    }
}

/// When the step of a stage started and ended, in milliseconds.
#[track_caller]
fn span(built: &Built, stage: &str) -> (i64, i64) {
    let step = &built.stage(stage)["steps"][0];
    let started: jiff::Timestamp = step["started"].as_str().expect("it ran").parse().unwrap();
    let duration = step["duration_ms"].as_i64().expect("it ended");
    (started.as_millisecond(), started.as_millisecond() + duration)
}

fn sleepers(kind: Kind, mount: &str) -> Built {
    let text = format!(
        "FROM docker.io/library/busybox AS a\nRUN {mount} sleep 1 && echo a >/a\n\
         FROM docker.io/library/busybox AS b\nRUN {mount} sleep 1 && echo b >/b\n\
         FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\n"
    );
    Scenario::on(kind, &text).build(&["--jobs=2"]).ok()
}

#[test]
fn independent_stages_run_at_the_same_time() {
    for kind in BOTH {
        let built = sleepers(kind, "");
        let (a, b) = (span(&built, "a"), span(&built, "b"));
        assert!(a.0 < b.1 && b.0 < a.1, "{kind:?}: {a:?} and {b:?} do not overlap");
    }
}

#[test]
fn the_stage_with_the_longest_way_to_the_end_goes_first() {
    let text = "FROM docker.io/library/busybox AS short\nRUN echo short >/short\n\
                FROM docker.io/library/busybox AS first\nRUN echo 1 >/long\n\
                FROM first AS second\nRUN echo 2 >>/long\nRUN echo 3 >>/long\nRUN echo 4 >>/long\n\
                FROM scratch\nCOPY --from=short /short /\nCOPY --from=second /long /\n";
    for kind in BOTH {
        let built = Scenario::on(kind, text).build(&["--jobs=1"]).ok();
        let (short, first) = (span(&built, "short"), span(&built, "first"));
        assert!(first.1 <= short.0, "{kind:?}: {short:?} does not stand behind {first:?}");
        let second = span(&built, "second");
        assert!(second.1 <= short.0, "{kind:?}: {short:?} does not stand behind {second:?}");
    }
}

#[test]
fn stage_images_are_named_as_they_are_committed() {
    let text = "FROM docker.io/library/busybox AS a\nRUN echo a >/a\n\
                FROM docker.io/library/busybox AS b\nRUN echo b >/b\n\
                FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\n";
    for kind in BOTH {
        let scenario = Scenario::on(kind, text);
        let built = scenario.build(&["-t", "app:1"]).ok();
        // The user's name comes with the target's image. One call names what that stands on, and takes the names off that
        // stages have while they are built.
        assert_eq!(["pull", "tag"].map(|verb| built.called(verb)), [3, 1], "{kind:?}");
        for stage in ["a", "b"] {
            assert_eq!(scenario.labelled("io.buildah.stage.name", stage).len(), 1, "{kind:?}: {stage}");
        }
        let names: Vec<String> = scenario.listed().into_iter().flat_map(|image| image.names).collect();
        assert!(!names.iter().any(|name| name.contains(":building-")), "{kind:?}: {names:?}");
    }
}

#[test]
fn a_stage_of_one_step_costs_that_step_its_image_and_a_name() {
    for kind in BOTH {
        let scenario = Scenario::on(kind, "FROM docker.io/library/busybox AS a\nRUN echo a >/a\n");
        let built = scenario.build(&["-t", "app:1"]).ok();
        let removed = built.called(if kind == Kind::Buildah { "rmi" } else { "image" });
        let calls = ["build", "pull", "tag"].map(|verb| built.called(verb));
        // The name that holds the step until the image is there goes with the one call more.
        assert_eq!((calls, removed), ([1, 1, 1], 1), "{kind:?}");
        let of_target = scenario.listed().into_iter().find(|image| image.id == built.image()).unwrap();
        assert_eq!(of_target.names, ["localhost/app:1"], "{kind:?}");
    }
}

#[test]
fn each_of_several_names_is_given() {
    for kind in BOTH {
        let scenario = Scenario::on(kind, "FROM docker.io/library/busybox AS a\nRUN echo a >/a\nCMD a\n");
        let names = ["localhost/app:1", "quay.io/me/app:latest", "docker.io/library/app:2"];
        let built = scenario.build(&["-t", "app:1", "-t", "quay.io/me/app", "-t", "docker.io/app:2"]).ok();
        let mut given = scenario.image(&built.image()).names;
        given.sort();
        assert_eq!(given, [names[2], names[0], names[1]], "{kind:?}");
    }
}

#[test]
fn stages_that_share_a_cache_mount_run_one_after_the_other_in_the_files_order() {
    for kind in BOTH {
        let built = sleepers(kind, "--mount=type=cache,target=/cache");
        let (a, b) = (span(&built, "a"), span(&built, "b"));
        assert!(a.1 <= b.0, "{kind:?}: {b:?} does not stand behind {a:?}");
    }
}

#[test]
fn stages_with_cache_mounts_of_their_own_run_at_the_same_time() {
    let text = "FROM docker.io/library/busybox AS a\nRUN --mount=type=cache,id=a,target=/c sleep 1\n\
                FROM docker.io/library/busybox AS b\nRUN --mount=type=cache,id=b,target=/c sleep 1\n\
                FROM scratch\nCOPY --from=a /bin/sh /a\nCOPY --from=b /bin/sh /b\n";
    let built = Scenario::new(text).build(&["--jobs=2"]).ok();
    let (a, b) = (span(&built, "a"), span(&built, "b"));
    assert!(a.0 < b.1 && b.0 < a.1, "{a:?} and {b:?} do not overlap");
}

#[test]
fn one_job_runs_one_step_at_a_time() {
    let text = "FROM docker.io/library/busybox AS a\nRUN sleep 0.5\n\
                FROM docker.io/library/busybox AS b\nRUN sleep 0.6\n\
                FROM scratch\nCOPY --from=a /bin/sh /a\nCOPY --from=b /bin/sh /b\n";
    let built = Scenario::new(text).build(&["--jobs=1"]).ok();
    let (a, b) = (span(&built, "a"), span(&built, "b"));
    assert!(a.1 <= b.0 || b.1 <= a.0, "{a:?} and {b:?} overlap");
}

#[test]
fn a_file_that_changes_while_the_build_runs_is_never_found_under_what_it_was() {
    let text = "FROM docker.io/library/busybox AS a\nRUN echo ready >&2; sleep 2\nCOPY f /f\n\
                RUN --mount=type=bind,source=m,target=/m cat /m >/n\n\
                FROM docker.io/library/busybox AS b\nCOPY --from=a /f /n /\nRUN cat /f /n >/both\n";
    for kind in BOTH {
        for layers in ["--layers=true", "--layers=false"] {
            let scenario = Scenario::on(kind, text).file("f", "old").file("m", "old");
            let running = scenario.start_until(&[layers], "] ready");
            scenario.write("f", "new").write("m", "new");
            let first = running.ended().ok();
            assert!(first.stderr.contains(": its files changed while the build ran"), "{}", first.stderr);
            let both = |built: &crate::support::Built| {
                scenario.files(&scenario.image(&built.image()))["both"].clone()
            };
            assert!(both(&first).ends_with("newnew"), "{kind:?} {layers}: {}", both(&first));
            scenario.write("f", "old").write("m", "old");
            let second = scenario.build(&[layers]).ok();
            assert!(both(&second).ends_with("oldold"), "{kind:?} {layers}: {}", both(&second));
            let third = scenario.build(&[layers]).ok();
            assert_eq!(third.builds(), 0, "{kind:?} {layers}");
            scenario.write("f", "new").write("m", "new");
            let fourth = scenario.build(&[layers]).ok();
            assert!(both(&fourth).ends_with("newnew"), "{kind:?} {layers}: {}", both(&fourth));
        }
    }
}

/// The files below a folder whose names end so.
fn files_below(folder: &std::path::Path, ending: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(files_below(&path, ending)),
            false if path.to_string_lossy().ends_with(ending) => found.push(path),
            false => {}
        }
    }
    found.sort();
    found
}

#[test]
fn an_entry_that_says_something_else_than_was_written_is_told_of_and_built_again() {
    let scenario = three_stages(Kind::Buildah);
    let first = scenario.build(&["--tag=app:1"]).ok();
    let entries = files_below(&scenario.state().join("storages"), ".json");
    let entries: Vec<_> =
        entries.into_iter().filter(|path| path.to_string_lossy().contains("/entries/")).collect();
    assert!(entries.len() >= 5);
    // Each has the content of another one: images of other steps.
    let contents: Vec<_> = entries.iter().map(|path| std::fs::read(path).unwrap()).collect();
    for (n, path) in entries.iter().enumerate() {
        std::fs::write(path, &contents[(n + 1) % contents.len()]).unwrap();
    }
    let swapped = scenario.build(&["--tag=app:1"]).expect("base mm, build mm, 2 m");
    assert_eq!(
        scenario.files(&scenario.image(&swapped.image())),
        scenario.files(&scenario.image(&first.image()))
    );
    assert!(swapped.stderr.contains("cannot be used: it is another file's content"), "{}", swapped.stderr);
    // The image is another one's, in place.
    for path in &entries {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let changed =
            text.replacen(&first.image()[..8], "00000000", 1).replacen("\"image\":\"", "\"image\":\"0", 1);
        std::fs::write(path, changed).unwrap();
    }
    let edited = scenario.build(&["--tag=app:1"]).expect("base mm, build mm, 2 m");
    assert!(edited.stderr.contains("its checksum is wrong"), "{}", edited.stderr);
    assert_eq!(scenario.build(&["--tag=app:1"]).ok().builds(), 0);
}

#[test]
fn damaged_answers_names_and_configs_are_told_of_or_asked_for_again() {
    let scenario = three_stages(Kind::Buildah);
    let first = scenario.build(&["--tag=app:1"]).ok();
    for path in files_below(&scenario.state(), ".json") {
        if path.to_string_lossy().contains("/builds/") {
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let damaged = scenario.build(&["--tag=app:1"]).expect("base mm, build mm, 2 m");
    assert!(damaged.stderr.contains("names.json cannot be used"), "{}", damaged.stderr);
    assert_eq!(
        scenario.files(&scenario.image(&damaged.image())),
        scenario.files(&scenario.image(&first.image()))
    );
    assert_eq!(scenario.build(&["--tag=app:1"]).ok().builds(), 0);
}

#[test]
fn equal_builds_at_once_run_each_step_once() {
    for kind in BOTH {
        let scenario = three_stages(kind);
        let output = std::thread::scope(|scope| {
            let builds: Vec<_> = (0..4)
                .map(|n| {
                    let mut command = scenario.build_command(&[&format!("--tag=app:{n}")]);
                    command.arg(scenario.context());
                    scope.spawn(move || command.output().unwrap())
                })
                .collect();
            builds.into_iter().map(|build| build.join().unwrap()).collect::<Vec<_>>()
        });
        let talk: String = output.iter().map(|o| String::from_utf8_lossy(&o.stderr).into_owned()).collect();
        assert!(output.iter().all(|output| output.status.success()), "{kind:?}: {talk}");
        assert_eq!(talk.matches("] done in ").count(), 5, "{kind:?}: {talk}");
        let ids: std::collections::BTreeSet<_> = output.iter().map(|output| output.stdout.clone()).collect();
        assert_eq!(ids.len(), 1, "{kind:?}: {talk}");
    }
}

#[test]
fn who_waits_for_an_equal_step_goes_on_when_the_other_build_is_killed() {
    let scenario = Scenario::new("FROM docker.io/library/busybox\nRUN sleep 4\nRUN true\n");
    let first = scenario.start_until(&[], "BUILD RUN sleep 4");
    let mut second = scenario.build_command(&[]);
    second.arg(scenario.context()).stderr(std::process::Stdio::piped());
    let mut child = second.spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(child.try_wait().unwrap().is_none());
    first.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(first.ended().code, 130);
    let output = child.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{talk}");
    assert!(
        talk.contains("waits for who runs the same step") || talk.contains("same step just now"),
        "{talk}"
    );
    let alone = scenario.build(&["--no-wait"]).ok();
    assert_eq!(alone.builds(), 0);
}
