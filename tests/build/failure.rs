//! Builds that fail or are stopped: the exit code, the error, and what is left.
//!
//! A RUN whose output is looked at sleeps behind it: under chroot isolation the engine itself loses what a command prints
//! just before it ends (buildah 1.28.2, 4 of 128 of its own builds at a load of 16 on two processors).

use nix::sys::signal::Signal;

use crate::support::{BOTH, Scenario};

#[test]
fn a_failing_run_gives_its_own_exit_code_and_names_stage_line_and_instruction() {
    for kind in BOTH {
        let scenario = Scenario::on(
            kind,
            "FROM docker.io/library/busybox AS app\nRUN true\nRUN echo no >&2; sleep 1; exit 42\n",
        );
        let failed = scenario.build(&[]).fails(42);
        let error = failed.error();
        assert!(
            error.starts_with("stage app, line 3: RUN echo no >&2; sleep 1; exit 42: "),
            "{kind:?}: {error}"
        );
        assert!(failed.stderr.contains("[app 2/2] no\n"), "{}", failed.stderr);
        assert_eq!(failed.record["status"], "failed");
        assert_eq!(failed.stage("app")["status"], "failed");
        let told = std::fs::read(scenario.folder().join("metadata.json")).unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&told).unwrap(), failed.record);
        scenario.assert_clean();
    }
}

#[test]
fn what_a_run_prints_is_shown_under_its_stage_and_step() {
    for kind in BOTH {
        let scenario = Scenario::on(
            kind,
            "FROM docker.io/library/busybox AS app\nRUN echo out; echo err >&2; sleep 1\n",
        );
        let built = scenario.build(&[]).ok();
        for line in ["[app 1/1] out\n", "[app 1/1] err\n"] {
            assert!(built.stderr.contains(line), "{kind:?}: {line:?} is not in:\n{}", built.stderr);
        }
    }
}

#[test]
fn no_run_sees_what_the_engine_is_called_with() {
    for kind in BOTH {
        let scenario = Scenario::on(kind, "FROM docker.io/library/busybox AS app\nRUN ! env | grep ^GO\n");
        scenario.build(&[]).ok();
    }
}

#[test]
fn a_failing_copy_gives_125() {
    for kind in BOTH {
        let scenario = Scenario::on(kind, "FROM docker.io/library/busybox\nCOPY nothing /\n");
        let failed = scenario.build(&[]).fails(125);
        assert!(failed.error().contains("nothing"), "{}", failed.stderr);
        scenario.assert_clean();
    }
}

#[test]
fn a_failing_stage_stops_the_others_and_the_failure_is_the_one_that_is_told() {
    let text = "FROM docker.io/library/busybox AS slow\nRUN sleep 30\n\
                FROM docker.io/library/busybox AS bad\nRUN sleep 1; exit 7\n\
                FROM scratch\nCOPY --from=slow /bin/sh /a\nCOPY --from=bad /bin/sh /b\n";
    for kind in BOTH {
        let scenario = Scenario::on(kind, text);
        let failed = scenario.build(&["--jobs=2"]).fails(7);
        assert!(failed.error().starts_with("stage bad, line 4: "), "{}", failed.error());
        let ended: jiff::Timestamp = failed.record["ended"].as_str().unwrap().parse().unwrap();
        let started: jiff::Timestamp = failed.record["started"].as_str().unwrap().parse().unwrap();
        assert!(ended.duration_since(started).as_secs() < 29, "{kind:?}: the other stage ran to its end");
        scenario.assert_clean();
    }
}

#[test]
fn a_stopped_build_leaves_nothing_half_done_and_keeps_what_was_finished() {
    let text = "FROM docker.io/library/busybox\nRUN echo done >/done\nRUN echo sleeping >&2; sleep 20\n";
    for kind in BOTH {
        for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
            let scenario = Scenario::on(kind, text);
            let running = scenario.start_until(&[], "] sleeping");
            running.signal(signal);
            let stopped = running.ended().fails(code);
            assert_eq!(stopped.error(), "interrupted", "{kind:?} {signal}");
            assert_eq!(stopped.record["status"], "interrupted");
            scenario.assert_clean();
            scenario.containerfile(&text.replace("sleep 20", "true"));
            scenario.build(&[]).expect("0 hm");
        }
    }
}

/// How many processes have `words` in their command line.
fn commands_with(words: &str) -> usize {
    let lines = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(words)).count()
}

#[test]
fn a_run_that_does_not_end_on_a_signal_is_ended_all_the_same() {
    let run = "trap '' TERM; echo sleeping >&2; sleep 4071 & while ! wait; do :; done";
    for kind in BOTH {
        let scenario = Scenario::on(kind, &format!("FROM docker.io/library/busybox\nRUN {run}\n"));
        let running = scenario.start_until(&[], "] sleeping");
        let since = std::time::Instant::now();
        running.signal(Signal::SIGINT);
        running.ended().fails(130);
        assert!(since.elapsed().as_secs() < 39, "{kind:?}: it ran to its end");
        scenario.assert_clean();
        assert_eq!(commands_with("sleep 4071"), 0, "{kind:?}: a process of the RUN is left");
    }
}

#[test]
fn a_run_that_ends_well_when_it_is_stopped_is_no_step_that_was_done() {
    let run = "trap 'exit 0' TERM; echo sleeping >&2; sleep 20 & wait $!; echo whole >/f";
    let text = |run: &str| format!("FROM docker.io/library/busybox\nRUN {run}\n");
    for kind in BOTH {
        let scenario = Scenario::on(kind, &text(run));
        let running = scenario.start_until(&[], "] sleeping");
        running.signal(Signal::SIGTERM);
        running.ended().fails(143);
        scenario.assert_clean();
        let running = scenario.start_until(&[], "] sleeping");
        running.signal(Signal::SIGTERM);
        running.ended().fails(143);
    }
}

#[test]
fn a_build_that_failed_leaves_no_image_under_the_users_name() {
    let scenario = Scenario::new("FROM docker.io/library/busybox\nRUN true\nRUN false\n");
    scenario.build(&["--tag=app:1"]).fails(1);
    assert!(!scenario.listed().iter().any(|image| image.names.iter().any(|name| name.contains("app:1"))));
}

#[test]
fn a_finished_stage_is_labelled_and_kept_when_a_later_one_fails() {
    let text = "FROM docker.io/library/busybox AS good\nRUN echo 1 >/1\nFROM good AS bad\nRUN false\n";
    for kind in BOTH {
        let scenario = Scenario::on(kind, text);
        let failed = scenario.build(&[]).fails(1);
        let image = failed.stage("good")["image"].as_str().unwrap();
        assert_eq!(scenario.labelled("io.buildah.stage.name", "good"), [image], "{kind:?}");
    }
}

#[test]
fn a_target_that_is_finished_is_kept_without_the_users_name_when_another_stage_fails() {
    let text = "FROM docker.io/library/busybox AS bad\nRUN sleep 5; false\n\
                FROM docker.io/library/busybox AS good\nRUN echo 1 >/1\n";
    for kind in BOTH {
        let scenario = Scenario::on(kind, text);
        scenario.build(&["-t", "app:1", "--skip-unused-stages=false"]).fails(1);
        let image = &scenario.labelled("io.buildah.stage.name", "good")[0];
        let named: Vec<_> = scenario.listed().into_iter().filter(|image| !image.names.is_empty()).collect();
        assert!(!named.iter().any(|listed| listed.id == *image), "{kind:?}: {named:?}");
        scenario.build(&["-t", "app:1"]).expect("good h");
        assert_eq!(&scenario.image("localhost/app:1").id, image, "{kind:?}");
    }
}

#[test]
fn a_name_of_a_build_in_progress_goes_when_the_stage_is_done() {
    let scenario = Scenario::new("FROM docker.io/library/busybox AS a\nRUN true\nRUN test -e /f\n");
    scenario.build(&[]).fails(1);
    let building = |scenario: &Scenario| {
        let names = scenario.listed().into_iter().flat_map(|image| image.names);
        names.filter(|name| name.contains(":building-")).count()
    };
    assert_eq!(building(&scenario), 1);
    scenario.containerfile("FROM docker.io/library/busybox AS a\nRUN true\nRUN echo >/f\n");
    scenario.build(&[]).expect("a hm");
    assert_eq!(building(&scenario), 0);
}

#[test]
fn a_failing_build_leaves_another_on_the_same_base_alone() {
    for kind in BOTH {
        let text = |run: &str| format!("FROM docker.io/library/busybox AS a\nRUN {run}\n");
        let scenario = Scenario::on(kind, &text("echo ready >&2; sleep 4; echo 1 >/1"));
        scenario.write("bad", &text("sleep 1; exit 3"));
        let slow = scenario.start_until(&[], "] ready");
        scenario.build(&["--file=bad"]).fails(3);
        let killed = scenario.start_until(&["--file=bad", "--no-cache"], "RUN sleep 1");
        killed.signal(Signal::SIGTERM);
        killed.ended().fails(143);
        slow.ended().ok();
        scenario.assert_clean();
    }
}

#[test]
fn two_builds_of_one_context_at_the_same_time_both_succeed() {
    for kind in BOTH {
        let text = "FROM docker.io/library/busybox AS a\nRUN echo ready >&2; sleep 1; echo 1 >/1\nFROM a\nRUN echo 2 >/2\n";
        let scenario = Scenario::on(kind, text);
        let first = scenario.start_until(&[], "] ready");
        let second = scenario.build(&[]).ok();
        let first = first.ended().ok();
        for built in [first, second] {
            let image = built.stdout.trim().to_owned();
            assert!(scenario.files(&scenario.image(&image)).contains_key("2"), "{kind:?}");
        }
        scenario.assert_clean();
    }
}
