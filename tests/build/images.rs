//! The images that a build leaves: labels, names, the record; and that the final one is the engine's own.

use std::fs;

use crate::support::{BASE, BOTH, Kind, Scenario};
use crate::three_stages;

#[test]
fn each_stage_leaves_one_labelled_image_that_the_engine_finds() {
    for kind in BOTH {
        let scenario = three_stages(kind);
        let built = scenario.build(&["--tag=app:1"]).ok();
        let below = built.stage("base")["image"].as_str().unwrap();
        for (name, base) in [("base", "docker.io/library/busybox"), ("build", below), ("2", below)] {
            let found = scenario.labelled("io.buildah.stage.name", name);
            assert_eq!(found, [built.stage(name)["image"].as_str().unwrap()], "{kind:?} {name}");
            let image = scenario.image(&found[0]);
            assert_eq!(image.label("io.buildah.stage.base"), Some(base), "{kind:?} {name}");
        }
        assert_eq!(scenario.image("localhost/app:1").id, built.image());
        scenario.assert_clean();
    }
}

#[test]
fn the_record_lists_each_stages_image_under_the_id_that_build_id_file_wrote() {
    for kind in BOTH {
        let scenario = three_stages(kind);
        let id_file = scenario.folder().join("id");
        let built = scenario.build(&["--tag=app:1", &format!("--build-id-file={}", id_file.display())]).ok();
        let id = fs::read_to_string(id_file).unwrap();
        assert_eq!(built.record["build_id"], id.as_str());
        let kept = scenario.records();
        let mut written = built.record.clone();
        // What the engines' own --metadata-file has stands beside the record.
        written.as_object_mut().unwrap().retain(|name, _| !name.starts_with("containerimage."));
        assert_eq!(kept, [written], "the file and the kept record are one");
        for name in ["base", "build", "2"] {
            let image = scenario.image(built.stage(name)["image"].as_str().unwrap());
            assert_eq!(image.label("io.buildah.stage.name"), Some(name));
        }
        assert_eq!(built.record["result"]["names"], serde_json::json!(["localhost/app:1"]));
    }
}

#[test]
fn no_image_but_the_stages_own_has_a_stage_label() {
    let scenario = three_stages(Kind::Buildah);
    let built = scenario.build(&["--tag=app:1"]).ok();
    let stages: Vec<_> =
        ["base", "build", "2"].map(|name| built.stage(name)["image"].as_str().unwrap().to_owned()).into();
    for listed in scenario.listed() {
        let labelled = scenario.image(&listed.id).label("io.buildah.stage.name").is_some();
        assert_eq!(labelled, stages.contains(&listed.id), "{listed:?}");
    }
}

/// Builds with us and with the engine, and compares what is left.
#[track_caller]
fn assert_native(scenario: &Scenario, flags: &[&str]) {
    let built = scenario.build(flags).ok();
    let ours = scenario.image(&built.image());
    let native = scenario.native(flags);
    let (ours, native) = (scenario.comparable(&ours), scenario.comparable(&native));
    for (part, expected) in native.as_object().unwrap() {
        assert_eq!(&ours[part], expected, "{:?} {flags:?}: another {part} than the engine's", scenario.kind);
    }
}

const COMMAND_BEFORE_ENTRYPOINT: &str = "\
FROM docker.io/library/busybox
CMD [\"kept\"]
RUN echo x >/x
ENTRYPOINT [\"/bin/echo\"]
";

const ARG_BEFORE_RUNS: &str = "\
FROM docker.io/library/busybox
ARG A=1
RUN echo $A >/one
RUN echo $A >/two
RUN echo $A >/three
";

const TRIGGERS: &str = "\
FROM docker.io/library/busybox AS parent
ONBUILD RUN echo fired >>/fired
RUN echo p >/p
ONBUILD ENV FIRED=yes
FROM parent AS child
RUN cat /fired >/copy
FROM child
COPY --from=parent /p /p2
ONBUILD COPY x /x
LABEL last=1
";

#[test]
fn the_final_image_is_the_engines_own_but_for_the_labels() {
    for kind in BOTH {
        assert_native(&three_stages(kind), &["--layers=true"]);
        for text in [COMMAND_BEFORE_ENTRYPOINT, ARG_BEFORE_RUNS] {
            assert_native(&Scenario::on(kind, text), &["--layers=true"]);
        }
        assert_native(&Scenario::on(kind, TRIGGERS), &["--layers=true", "--format=docker"]);
    }
}

#[test]
fn the_final_image_is_the_engines_own_in_the_squashed_mode_too() {
    for kind in BOTH {
        assert_native(&three_stages(kind), &["--layers=false"]);
        for text in [COMMAND_BEFORE_ENTRYPOINT, ARG_BEFORE_RUNS] {
            assert_native(&Scenario::on(kind, text), &["--layers=false"]);
        }
        assert_native(&Scenario::on(kind, TRIGGERS), &["--layers=false", "--format=docker"]);
    }
}

#[test]
fn a_stage_has_one_image_with_its_label_in_either_mode() {
    for kind in BOTH {
        for layers in ["--layers=true", "--layers=false"] {
            let scenario = three_stages(kind);
            for flags in [&[layers, "--tag=app:1"][..], &[layers, "--tag=app:1", "--no-cache-filter=base"]] {
                scenario.build(flags).ok();
            }
            for stage in ["base", "build"] {
                let unnamed = |id: &&String| {
                    scenario.listed().iter().any(|image| image.id == **id && image.names.is_empty())
                };
                let found = scenario.labelled("io.buildah.stage.name", stage);
                assert_eq!(found.iter().filter(unnamed).count(), 0, "{kind:?} {layers}: {stage}: {found:?}");
            }
        }
        let scenario = three_stages(kind);
        scenario.build(&["--layers=false", "--tag=app:1"]).ok();
        for stage in ["base", "build"] {
            assert_eq!(scenario.labelled("io.buildah.stage.name", stage).len(), 1, "{kind:?}: {stage}");
        }
    }
}

#[test]
fn a_build_on_an_image_of_an_earlier_build_of_ours_is_the_engines_own() {
    for kind in BOTH {
        let scenario = three_stages(kind);
        scenario.build(&["--tag=own:1"]).ok();
        scenario.containerfile(
            "FROM localhost/own:1 AS more\nRUN cat /app >/again\nFROM more\nENV A=1\nCOPY src /s\n",
        );
        assert_native(&scenario, &["--layers=true"]);
        let found = scenario.labelled("io.buildah.stage.name", "more");
        assert_eq!(found.len(), 1, "{kind:?}");
        assert_eq!(scenario.image(&found[0]).label("io.buildah.stage.base"), Some("localhost/own:1"));
    }
}

#[test]
fn without_stage_labels_the_final_image_has_the_engines_labels_alone() {
    let scenario = three_stages(Kind::Buildah);
    let built = scenario.build(&["--stage-labels=false", "--tag=app:1"]).ok();
    let ours = scenario.image(&built.image());
    let native = scenario.native(&[]);
    assert_eq!(ours.config["config"]["Labels"], native.config["config"]["Labels"]);
    assert_eq!(scenario.labelled("io.buildah.stage.name", "build"), [""; 0]);
}

#[test]
fn a_label_of_the_user_wins_over_ours() {
    let scenario = Scenario::new(
        "FROM docker.io/library/busybox AS a\nLABEL io.buildah.stage.name=mine\nRUN echo 1 >/f\nFROM a\nCOPY --from=a /f /g\n",
    );
    let built = scenario.build(&["--label=io.buildah.stage.base=theirs"]).ok();
    let stage = scenario.image(built.stage("a")["image"].as_str().unwrap());
    assert_eq!(stage.label("io.buildah.stage.name"), Some("mine"));
    assert_eq!(stage.label("io.buildah.stage.base"), Some("docker.io/library/busybox"));
    let last = scenario.image(&built.image());
    assert_eq!(last.label("io.buildah.stage.base"), Some("theirs"));
}

#[test]
fn the_id_file_and_the_output_name_the_target() {
    for kind in BOTH {
        let scenario = three_stages(kind);
        let told = scenario.build(&["--quiet"]).ok();
        assert_eq!(told.stdout, format!("{}\n", told.image()));
        let iid = scenario.folder().join("iid");
        let filed = scenario.build(&[&format!("--iidfile={}", iid.display())]).ok();
        assert_eq!(filed.stdout, "");
        assert_eq!(fs::read_to_string(iid).unwrap(), format!("sha256:{}", filed.image()));
    }
}

#[test]
fn stages_that_the_target_does_not_need_are_not_built() {
    let scenario = three_stages(Kind::Buildah);
    scenario.build(&["--target=base"]).expect("base mm");
    assert_eq!(scenario.labelled("io.buildah.stage.name", "build"), [""; 0]);
}

#[test]
fn the_target_can_be_named_by_number() {
    let scenario = three_stages(Kind::Buildah);
    scenario.build(&["--target=1"]).expect("base mm, build mm");
}

#[test]
fn the_base_label_is_scratch_where_there_is_none() {
    let scenario = Scenario::new("FROM scratch AS bare\nCOPY f /\n").file("f", "1");
    let built = scenario.build(&[]).ok();
    assert_eq!(scenario.image(&built.image()).label("io.buildah.stage.base"), Some("scratch"));
    assert_eq!(built.stage("bare")["base"]["kind"], "scratch");
}

#[test]
fn the_base_images_own_name_stays_where_it_was() {
    let scenario = three_stages(Kind::Buildah);
    let before = scenario.image(BASE).id;
    scenario.build(&["--tag=app:1"]).ok();
    assert_eq!(scenario.image(BASE).id, before);
    assert_eq!(scenario.image(BASE).names, [BASE]);
}

#[test]
fn a_stage_that_was_one_call_with_labels_is_not_taken_for_one_without() {
    for kind in BOTH {
        let text = "FROM docker.io/library/busybox AS one\nRUN echo a >/a\nFROM docker.io/library/busybox\nCOPY --from=one /a /b\n";
        let scenario = Scenario::on(kind, text);
        scenario.build(&["--layers=false"]).ok();
        let without = scenario.build(&["--layers=false", "--stage-labels=false"]).ok();
        let config = scenario.image(&without.image()).config.to_string();
        assert!(
            !config.contains("io.buildah.stage") && !config.contains("io.stagecache"),
            "{kind:?}: {config}"
        );
        assert_eq!(scenario.build(&["--layers=false"]).ok().builds(), 0, "{kind:?}");
    }
}

#[test]
fn the_bytes_of_an_image_are_read_once_and_those_of_another_one_by_that_name_count() {
    for kind in BOTH {
        let scenario =
            Scenario::on(kind, "FROM docker.io/library/busybox\nCOPY --from=localhost/big:1 /big /x\n");
        let folder = scenario.folder().join("big");
        let make = |byte: u8| {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("big"), vec![byte; 40_000_000]).unwrap();
            fs::write(folder.join("Containerfile"), "FROM scratch\nCOPY big /big\n").unwrap();
            scenario.engine(&[
                "build",
                "--quiet",
                "--layers=false",
                "--tag=localhost/big:1",
                folder.to_str().unwrap(),
            ]);
        };
        let kept = || {
            let storages = fs::read_dir(scenario.state().join("storages")).unwrap();
            let files: Vec<_> = storages.map(|storage| storage.unwrap().path().join("copied.json")).collect();
            files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect::<String>()
        };
        make(b'a');
        scenario.build(&[]).expect("0 m");
        let first = kept();
        assert!(!first.is_empty(), "{kind:?}");
        scenario.build(&[]).expect("0 h");
        assert_eq!(kept(), first, "{kind:?}");
        make(b'b');
        let built = scenario.build(&[]).expect("0 m");
        let files = scenario.files(&scenario.image(&built.image()));
        let expected = blake3::hash(&vec![b'b'; 40_000_000]).to_string();
        assert!(files["x"].ends_with(&expected), "{kind:?}: {}", files["x"]);
        assert_ne!(kept(), first, "{kind:?}");
        make(b'a');
        let again = scenario.build(&[]).ok();
        assert!(again.verdicts() == "0 c" || again.verdicts() == "0 h", "{kind:?}: {}", again.verdicts());
    }
}
