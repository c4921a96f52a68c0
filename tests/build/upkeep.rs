//! Images that stay, and what removing some of them costs.

use crate::support::{BOTH, Built, Kind, Scenario};
use crate::three_stages;

/// Ids of the unnamed images that bear a stage's label.
fn unnamed(scenario: &Scenario, stage: &str) -> Vec<String> {
    let labelled = |id: &str| scenario.image(id).label("io.buildah.stage.name") == Some(stage);
    let unnamed = scenario.listed().into_iter().filter(|image| image.names.is_empty());
    unnamed.map(|image| image.id).filter(|id| labelled(id)).collect()
}

#[test]
fn saved_stages_are_exactly_one_unnamed_image_each_after_any_number_of_builds() {
    for kind in BOTH {
        let scenario = three_stages(kind);
        let check = |built: &Built, when: &str| {
            for stage in ["base", "build"] {
                assert_eq!(
                    unnamed(&scenario, stage),
                    [built.stage(stage)["image"].as_str().unwrap()],
                    "{kind:?}: stage {stage} {when}"
                );
            }
            let last = scenario.image(&built.image());
            assert_eq!(last.names, ["localhost/app:1"], "{kind:?} {when}");
        };
        let flags = ["--save-stages", "--stage-labels", "--tag=app:1"];
        check(&scenario.build(&flags).ok(), "the first time");
        check(&scenario.build(&flags).expect("base hh, build hh, 2 h"), "the second time");
        scenario.write("src", "changed\n");
        check(&scenario.build(&flags).expect("base hh, build mm, 2 m"), "after a change");
        scenario.write("common", "changed too\n");
        check(&scenario.build(&flags).ok(), "after a change below");
        scenario.write("src", "s\n").write("common", "c\n");
        check(&scenario.build(&flags).ok(), "when all is as it was");
    }
}

#[test]
fn saved_stages_are_unnamed_after_a_build_in_the_default_mode() {
    let scenario = three_stages(Kind::Buildah);
    scenario.build(&["--tag=app:1"]).ok();
    let built = scenario.build(&["--save-stages", "--stage-labels", "--tag=app:1"]).ok();
    for stage in ["base", "build"] {
        assert_eq!(unnamed(&scenario, stage), [built.stage(stage)["image"].as_str().unwrap()]);
    }
}

#[test]
fn an_unnamed_target_of_saved_stages_is_one_image() {
    let scenario = three_stages(Kind::Buildah);
    for text in ["1", "2"] {
        scenario.write("src", text);
        let built = scenario.build(&["--save-stages", "--stage-labels"]).ok();
        assert_eq!(unnamed(&scenario, "2"), [built.image()]);
    }
}

#[test]
fn pruning_images_costs_nothing_of_the_cache() {
    for kind in BOTH {
        let scenario = three_stages(kind);
        let first = scenario.build(&["--tag=app:1"]).ok();
        assert!(scenario.engine_output(Kind::Podman, &["image", "prune", "--force"]).status.success());
        let again = scenario.build(&["--tag=app:1"]).expect("base hh, build hh, 2 h");
        assert_eq!((again.builds(), again.image()), (0, first.image()), "{kind:?}");
    }
}

#[test]
fn pruning_images_costs_nothing_of_an_unnamed_build() {
    let scenario = three_stages(Kind::Buildah);
    scenario.build(&[]).ok();
    assert!(scenario.engine_output(Kind::Podman, &["image", "prune", "--force"]).status.success());
    assert_eq!(scenario.build(&[]).expect("base hh, build hh, 2 h").builds(), 0);
}

#[test]
fn pruning_images_after_a_failed_build_costs_nothing_that_was_finished() {
    let text = "\
FROM docker.io/library/busybox AS base
RUN echo 1 >/1
FROM base
RUN echo 2 >/2
RUN echo 3 >/3
RUN test -e /never
";
    for kind in BOTH {
        let scenario = Scenario::on(kind, text);
        scenario.build(&["--tag=app:1"]).fails(1);
        assert!(scenario.engine_output(Kind::Podman, &["image", "prune", "--force"]).status.success());
        let again = scenario.build(&["--tag=app:1"]).fails(1);
        assert_eq!((again.verdicts().as_str(), again.builds()), ("base h, 1 hhm", 1), "{kind:?}");
    }
}

#[test]
fn removing_a_stages_image_costs_no_more_than_that_stage() {
    for kind in BOTH {
        let scenario = three_stages(kind);
        scenario.build(&["--tag=app:1"]).ok();
        let name =
            scenario.build(&["--tag=app:1"]).ok().stage("build")["image_name"].as_str().unwrap().to_owned();
        scenario.engine(&["rmi", &name]);
        let again = scenario.build(&["--tag=app:1"]).ok();
        let verdicts = again.verdicts();
        assert!(
            verdicts.starts_with("base hh, build ") && verdicts.ends_with(", 2 h"),
            "{kind:?}: {verdicts}"
        );
        assert_eq!(scenario.labelled("io.buildah.stage.name", "build").len(), 1, "{kind:?}");
    }
}

#[test]
fn removing_the_target_costs_no_more_than_its_stage() {
    for kind in BOTH {
        let scenario = three_stages(kind);
        let first = scenario.build(&["--tag=app:1"]).ok();
        scenario.engine(&["rmi", "localhost/app:1"]);
        let again = scenario.build(&["--tag=app:1"]).ok();
        assert!(again.verdicts().starts_with("base hh, build hh, 2 "), "{kind:?}: {}", again.verdicts());
        assert!(again.builds() <= 1);
        assert_eq!(scenario.files(&scenario.image(&again.image()))["app"], "file 644 0:0 s\nc\n");
        drop(first);
    }
}

#[test]
fn an_earlier_target_that_loses_its_name_stays_in_the_cache() {
    let scenario = three_stages(Kind::Buildah);
    scenario.build(&["--tag=app:1"]).ok();
    scenario.write("src", "2\n");
    scenario.build(&["--tag=app:1"]).ok();
    assert!(scenario.engine_output(Kind::Podman, &["image", "prune", "--force"]).status.success());
    scenario.write("src", "s\n");
    assert_eq!(scenario.build(&["--tag=app:1"]).expect("base hh, build hh, 2 h").builds(), 0);
}

#[test]
fn stages_beyond_those_that_are_kept_go_with_their_steps() {
    let scenario = three_stages(Kind::Buildah);
    let mut images = Vec::new();
    for text in ["1\n", "2\n", "3\n"] {
        scenario.write("src", text);
        let built = scenario.build(&["--tag=app:1", "--keep-stages=2"]).ok();
        images.push(built.stage("build")["image"].as_str().unwrap().to_owned());
    }
    let kept: Vec<bool> = images.iter().map(|id| scenario.has(id)).collect();
    assert_eq!(kept, [false, true, true]);
    let first = &scenario.records()[0];
    let steps = first["stages"][1]["steps"].as_array().unwrap().iter();
    let left: Vec<_> = steps
        .filter(|step| step["verdict"]["verdict"] == "miss")
        .map(|step| scenario.has(step["image"].as_str().unwrap()))
        .collect();
    assert_eq!(left, [false, false], "steps of a stage that went");
    scenario.write("src", "2\n");
    scenario.build(&["--tag=app:1", "--keep-stages=2"]).expect("base hh, build hh, 2 h");
}

#[test]
fn the_engines_own_images_are_left_alone() {
    let scenario = three_stages(Kind::Buildah);
    let native = scenario.native(&["--tag=native:1"]);
    for text in ["1", "2"] {
        scenario.write("src", text);
        scenario.build(&["--tag=app:1", "--keep-stages=1"]).ok();
    }
    assert_eq!(scenario.image("localhost/native:1").id, native.id);
}

/// Two stages, of which the second waits for a file of the host before it copies from the first.
const SLOW_SECOND: &str = "\
FROM docker.io/library/busybox AS a
RUN echo 1 >/1
FROM docker.io/library/busybox AS b
RUN echo ready >&2; until test -e /sync/go; do sleep 0.1; done; echo 2 >/2
COPY --from=a /1 /1
";

/// The scenario, and the flag with which the second stage sees the file.
fn slow_second(kind: Kind) -> (Scenario, String) {
    let scenario = Scenario::on(kind, SLOW_SECOND);
    let folder = scenario.folder().join("sync");
    std::fs::create_dir(&folder).unwrap();
    let flag = format!("--volume={}:/sync:ro", folder.display());
    (scenario, flag)
}

/// Removes all that a stage has left, as somebody does who does not know of builds, and lets the other stage go on.
fn remove_stage(scenario: &Scenario, stage: &str) {
    let prefix = format!("localhost/stagecache/{stage}:");
    for _ in 0..600 {
        let of_stage = |name: &&String| name.starts_with(&prefix) && !name.contains(":building-");
        let listed = scenario.listed();
        let names = || listed.iter().flat_map(|image| &image.names);
        if names().any(|name| of_stage(&name)) {
            for name in names().filter(|name| name.starts_with(&prefix)) {
                scenario.engine(&["rmi", "--force", name]);
            }
            // Its tip and its steps, which have no name now; one may take another along.
            for image in scenario.listed().iter().filter(|image| image.names.is_empty()) {
                scenario.engine_output(scenario.kind, &["rmi", "--force", &image.id]);
            }
            std::fs::write(scenario.folder().join("sync/go"), "").unwrap();
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("stage {stage} leaves no image");
}

#[test]
fn a_stage_that_vanishes_while_the_build_runs_is_built_again() {
    for kind in BOTH {
        let (scenario, volume) = slow_second(kind);
        let running = scenario.start_until(&["--jobs=2", &volume], "] ready");
        remove_stage(&scenario, "a");
        let built = running.ended().expect("a m, b mm");
        assert!(
            built.stderr.contains("went from the storage: what is missing is built again"),
            "{}",
            built.stderr
        );
        let files = scenario.files(&scenario.image(&built.image()));
        assert_eq!((&*files["1"], &*files["2"]), ("file 644 0:0 1\n", "file 644 0:0 2\n"), "{kind:?}");
        assert_eq!(built.stderr.matches("] ready").count(), 1, "{kind:?}: what was there ran again");
        assert_eq!(built.record["status"], "succeeded");
        scenario.assert_clean();
        let again = scenario.build(&[&volume]).expect("a h, b hh");
        assert_eq!((again.builds(), again.image()), (0, built.image()), "{kind:?}");
    }
}

/// The engine's program, which prunes what has no name in front of each call and behind it.
fn pruning_around_calls(scenario: &Scenario, kind: Kind) {
    let engine = kind.program();
    let prune = if kind == Kind::Podman { "image prune -f" } else { "rmi --prune" };
    let script = format!(
        "#!/bin/sh\nprune() {{ {engine} {globals} {prune} >&2; }}\nprune\n{engine} \"$@\"; code=$?\nprune\nexit $code\n",
        engine = engine.display(),
        globals = scenario.globals().join(" "),
    );
    std::fs::write(scenario.wrapper(kind), script).unwrap();
}

#[test]
fn a_prune_around_each_call_takes_nothing_that_a_build_needs() {
    let containerfile = "FROM docker.io/library/busybox AS base\nRUN echo base >/base\nONBUILD RUN echo on >/on\n\
                         FROM base AS one\nARG N\nRUN echo $N >/one\nCOPY src /src\nENV X=1\n\
                         FROM one\n\
                         FROM docker.io/library/busybox AS two\nCOPY --from=one /one /src /\nWORKDIR /w\nCMD [\"two\"]\n\
                         FROM base\nCOPY --from=two /one /two\nCOPY --from=1 /src /src\nLABEL last=1\n";
    for (kind, flag) in [
        (Kind::Buildah, "--layers"),
        (Kind::Buildah, "--layers=false"),
        (Kind::Buildah, "--stage-labels=false"),
        (Kind::Podman, "--layers"),
    ] {
        let scenario = Scenario::on(kind, containerfile);
        scenario.write("src", "1\n");
        pruning_around_calls(&scenario, kind);
        for (n, changed) in [("1", "1\n"), ("2", "1\n"), ("2", "2\n")] {
            scenario.write("src", changed);
            let built =
                scenario.build(&["--tag=app:1", "--jobs=1", flag, &format!("--build-arg=N={n}")]).ok();
            // The names at the end are given beside the last commit, which a prune may meet before it has its own.
            let ran = built.stderr.matches("] BUILD").count();
            assert!(ran <= 6, "{kind:?} {flag}: a step ran twice: {}", built.stderr);
            let image = scenario.image(&built.image());
            let files = scenario.files(&image);
            assert_eq!(files["two"], format!("file 644 0:0 {n}\n"), "{kind:?} {flag}");
            assert_eq!(files["src"], format!("file 644 0:0 {changed}"), "{kind:?} {flag}");
        }
        scenario.assert_clean();
    }
}

#[test]
fn a_cached_stage_that_vanishes_while_the_build_runs_is_built_again() {
    let (scenario, volume) = slow_second(Kind::Buildah);
    let go = scenario.folder().join("sync/go");
    std::fs::write(&go, "").unwrap();
    scenario.build(&[&volume]).expect("a m, b mm");
    std::fs::remove_file(go).unwrap();
    let running = scenario.start_until(&["--jobs=2", "--no-cache-filter=b", &volume], "] ready");
    remove_stage(&scenario, "a");
    let built = running.ended().expect("a m, b mm");
    let files = scenario.files(&scenario.image(&built.image()));
    assert_eq!((&*files["1"], &*files["2"]), ("file 644 0:0 1\n", "file 644 0:0 2\n"));
    assert_eq!(built.stderr.matches("] ready").count(), 1, "what was there ran again");
    scenario.assert_clean();
}

#[test]
fn a_stage_that_two_builds_share_stays_until_neither_keeps_it() {
    let scenario = three_stages(Kind::Buildah);
    let build = |id: &str| {
        let id = format!("--cache-id={id}");
        scenario.build(&["--keep-stages=1", &id]).ok()
    };
    let shared = build("one").stage("build")["image"].as_str().unwrap().to_owned();
    assert_eq!(build("two").stage("build")["image"].as_str(), Some(&*shared));
    scenario.write("src", "2\n");
    build("one");
    assert!(scenario.has(&shared), "the second build keeps it");
    scenario.write("src", "s\n");
    assert_eq!(build("two").builds(), 0);
    scenario.write("src", "3\n");
    build("two");
    assert!(!scenario.has(&shared), "nobody keeps it");
}

/// Makes the only build that there is one of long ago.
fn date_back(scenario: &Scenario) {
    let storage = std::fs::read_dir(scenario.state().join("storages")).unwrap().next().unwrap().unwrap();
    let file = std::fs::read_dir(storage.path().join("builds")).unwrap().next().unwrap().unwrap().path();
    let mut record: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    record["started"] = "2024-01-01T00:00:00Z".into();
    std::fs::write(&file, record.to_string()).unwrap();
}

#[test]
fn pruning_by_age_takes_what_no_build_has_used_since() {
    let scenario = three_stages(Kind::Buildah);
    let prune = |flags: &[&str]| {
        let mut command = scenario.program(&[]);
        command.args(scenario.globals()).arg("prune").args(flags).env("STAGECACHE_HOME", scenario.state());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let old = scenario.build(&["--tag=app:1"]).ok();
    let old = old.stage("build")["image"].as_str().unwrap().to_owned();
    date_back(&scenario);
    scenario.write("src", "2\n");
    let new = scenario.build(&["--tag=app:1"]).ok();
    let new = new.stage("build")["image"].as_str().unwrap().to_owned();
    assert_eq!(prune(&["--older-than=5000w"]), "nothing to remove\n");
    let age = "--older-than=1d";
    let told = prune(&["--dry-run", age]);
    assert!(told.contains("would remove") && told.contains("localhost/stagecache/build:"), "{told}");
    assert!(scenario.has(&old) && scenario.has(&new));
    prune(&[age]);
    assert_eq!((scenario.has(&old), scenario.has(&new)), (false, true));
    assert_eq!(scenario.build(&["--tag=app:1"]).expect("base hh, build hh, 2 h").builds(), 0);
}

#[test]
fn the_cache_is_held_below_its_bound_by_taking_the_oldest() {
    let scenario = Scenario::new("FROM docker.io/library/busybox AS a\nCOPY big /big\nFROM a\nRUN true\n");
    let mut images = Vec::new();
    for n in ["1", "2", "3"] {
        scenario.shell(&format!("yes {n} | head -c 3000000 >big"));
        let built = scenario.build(&["--keep-storage=7MB", "--keep-stages=all"]).ok();
        images.push(built.stage("a")["image"].as_str().unwrap().to_owned());
    }
    let kept: Vec<bool> = images.iter().map(|id| scenario.has(id)).collect();
    assert_eq!(kept, [false, true, true], "three megabytes each, and seven are allowed");
    let built = scenario.build(&["--keep-storage=1", "--keep-stages=all"]).ok();
    assert_eq!(built.builds(), 0);
    assert!(scenario.has(&images[1]), "a build that makes nothing takes nothing");
    scenario.shell("echo 4 >big");
    scenario.build(&["--keep-storage=1"]).ok();
    assert_eq!((scenario.has(&images[1]), scenario.has(&images[2])), (false, false));
    assert_eq!(scenario.build(&[]).ok().builds(), 0, "what the last build made stays");
}

#[test]
fn a_result_without_a_name_stays_as_natively() {
    for kind in BOTH {
        let scenario = Scenario::on(
            kind,
            "FROM docker.io/library/busybox AS a\nCOPY f /f\nFROM docker.io/library/busybox\nCOPY --from=a /f /g\n",
        );
        let results: Vec<String> = (0..5)
            .map(|n| {
                scenario.write("f", &format!("{n}\n"));
                scenario.build(&[]).ok().image()
            })
            .collect();
        for result in &results {
            assert!(scenario.has(result), "{kind:?}: a result is gone");
        }
        let named: Vec<_> = scenario.listed().into_iter().flat_map(|image| image.names).collect();
        let of_a = named.iter().filter(|name| name.starts_with("localhost/stagecache/a:")).count();
        assert_eq!(of_a, 3, "{named:?}");
    }
}
