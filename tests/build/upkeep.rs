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
