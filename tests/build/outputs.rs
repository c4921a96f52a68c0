//! `--output`: the files of the image, as the engine itself writes them.

use std::fs::{self, File};

use serde_json::Value;

use crate::schema;
use crate::support::{BOTH, Files, Kind, Scenario, files_of};

/// Bytes that are no text and look like lines.
fn bytes() -> Vec<u8> {
    (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn scenario(kind: Kind, text: &str) -> Scenario {
    let scenario = Scenario::on(kind, text);
    fs::write(scenario.context().join("bytes"), bytes()).unwrap();
    scenario
}

/// The files that the engine's own build writes.
fn native(scenario: &Scenario, flags: &[&str]) -> Files {
    let path = scenario.folder().join("native.tar");
    let output = format!("--output=type=tar,dest={}", path.display());
    scenario.native(&[flags, &[&output]].concat());
    files_of(File::open(path).unwrap())
}

#[test]
fn an_archive_on_standard_output_is_that_of_the_engine() {
    for kind in BOTH {
        let scenario = scenario(
            kind,
            "FROM docker.io/library/busybox\nRUN echo said; echo out >/out\nCOPY bytes /bytes\n",
        );
        let expected = native(&scenario, &[]);
        for layers in ["--layers=true", "--layers=false"] {
            for output in ["--output=-", "--output=type=tar,dest=-"] {
                let mut command = scenario.build_command(&[layers, output]);
                let ended = command.arg(scenario.context()).output().unwrap();
                let said = String::from_utf8_lossy(&ended.stderr);
                assert!(ended.status.success(), "{kind:?} {layers}: {said}");
                assert_eq!(files_of(&ended.stdout[..]), expected, "{kind:?} {layers} {output}");
                // The id stands behind it, as with the engine.
                assert_eq!(ended.stdout.len() % 512, 65, "{kind:?} {layers} {output}");
                assert_eq!(ended.stdout.last(), Some(&b'\n'));
            }
            let id = scenario.folder().join("id");
            let mut command = scenario.build_command(&[layers, "-o", "-", "--iidfile", id.to_str().unwrap()]);
            let ended = command.arg(scenario.context()).output().unwrap();
            assert_eq!(ended.stdout.len() % 512, 0, "{kind:?} {layers}");
        }
        scenario.assert_clean();
    }
}

#[test]
fn triggers_that_are_pending_do_not_fire_where_files_are_written() {
    let text = "FROM docker.io/library/busybox AS a\nRUN echo 1 >/1\nONBUILD RUN echo 2 >/2\n";
    for kind in BOTH {
        let scenario = scenario(kind, text);
        let expected = native(&scenario, &["--format=docker"]);
        assert!(expected.contains_key("1") && !expected.contains_key("2"), "{kind:?}: {expected:?}");
        for layers in ["--layers=true", "--layers=false"] {
            let before = scenario.listed().len();
            let file = scenario.folder().join("ours.tar");
            let output = format!("--output=type=tar,dest={}", file.display());
            let built = scenario.build(&["--format=docker", layers, &output]).ok();
            assert_eq!(files_of(File::open(&file).unwrap()), expected, "{kind:?} {layers}");
            assert!(scenario.has(&built.image()), "{kind:?} {layers}: the image is gone");
            let without = scenario.build(&["--format=docker", layers]).ok();
            assert_eq!(without.image(), built.image());
            let with = scenario.build(&["--format=docker", layers, &output]).ok();
            assert_eq!((with.builds(), with.image()), (1, built.image()), "{kind:?} {layers}");
            let made = scenario.listed().len() - before;
            assert!(made <= 3, "{kind:?} {layers}: {:?}", scenario.listed());
        }
        scenario.assert_clean();
    }
}

#[test]
fn a_target_that_is_nothing_but_a_from_is_written_as_well_and_so_is_each_of_several_outputs() {
    for kind in BOTH {
        let scenario = scenario(kind, "FROM docker.io/library/busybox AS a\nCOPY bytes /b\nFROM a\n");
        let expected = native(&scenario, &[]);
        for layers in ["--layers=true", "--layers=false"] {
            let folder = scenario.folder().join(format!("out{layers}"));
            let file = scenario.folder().join("ours.tar");
            let tar = format!("--output=type=tar,dest={}", file.display());
            let mut command = scenario.build_command(&[layers, "-o", folder.to_str().unwrap(), &tar, "-o-"]);
            let ended = command.arg(scenario.context()).output().unwrap();
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
            assert_eq!(files_of(File::open(&file).unwrap()), expected, "{kind:?} {layers}");
            assert_eq!(files_of(&ended.stdout[..]), expected, "{kind:?} {layers}");
            assert_eq!(fs::read(folder.join("b")).unwrap(), bytes(), "{kind:?} {layers}");
        }
    }
}

#[test]
fn an_output_that_is_none_is_refused_before_anything_runs() {
    for output in ["type=foo,dest=x", "type=tar,dest=", "type=local,dest=-", "what=x,dest=y"] {
        let scenario = Scenario::new("FROM docker.io/library/busybox\nRUN echo a >/a\n");
        let built = scenario.build(&["-o", output]).fails(125);
        assert_eq!(built.builds(), 0, "{output}: {}", built.stderr);
    }
}

#[test]
fn the_metadata_file_of_a_build_that_succeeded_names_its_manifest_as_the_engines_do() {
    for kind in BOTH {
        let scenario = scenario(kind, "FROM docker.io/library/busybox\nCOPY bytes /bytes\n");
        for format in ["--format=oci", "--format=docker"] {
            let built = scenario.build(&[format, "--stage-labels=false"]);
            let metadata = &built.record;
            assert_eq!(schema::faults_by("metadata-file", metadata), [""; 0], "{metadata}");
            let image = metadata["result"]["image"].as_str().unwrap();
            assert_eq!(metadata["containerimage.config.digest"], format!("sha256:{image}"));
            assert_eq!(metadata["containerimage.digest"], metadata["result"]["digest"]);
            let descriptor = &metadata["containerimage.descriptor"];
            assert_eq!(descriptor["digest"], metadata["result"]["digest"]);
            let manifest = scenario.manifest(image);
            assert_eq!(descriptor["size"], manifest.len(), "{manifest}");
            let manifest: Value = serde_json::from_str(&manifest).unwrap();
            assert_eq!(descriptor["mediaType"], manifest["mediaType"]);
        }
        scenario.containerfile("FROM docker.io/library/busybox\nRUN exit 3\n");
        let failed = scenario.build(&[]).fails(3);
        assert_eq!(failed.record["status"], "failed");
        assert_eq!(failed.record.get("containerimage.digest"), None);
    }
}
