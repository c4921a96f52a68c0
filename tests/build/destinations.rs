//! Names with a transport, `-t dir:DIR` and its like: the image is written there, as the engine itself does.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{BOTH, Scenario};

const FILE: &str = "FROM docker.io/library/busybox\nCOPY f /f\nRUN echo a >/a\nCMD [\"/a\"]\n";

/// The files below a folder, with what is in them.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            let below = contents(&entry.path());
            found.extend(below.into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        } else {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// The image configs among these files.
fn configs(files: &BTreeMap<String, Vec<u8>>) -> Vec<Value> {
    let read = files.values().filter_map(|bytes| serde_json::from_slice::<Value>(bytes).ok());
    read.filter(|json| json.get("rootfs").is_some()).collect()
}

#[test]
fn a_folder_or_an_archive_gets_what_the_engine_writes_there() {
    for kind in BOTH {
        for destination in ["dir:@", "oci:@", "oci:@:tag", "oci-archive:@", "docker-archive:@:localhost/a:1"]
        {
            for format in ["--format=oci", "--format=docker"] {
                let scenario = Scenario::on(kind, FILE).file("f", "f");
                let same = ["--layers=false", "--timestamp=1000", format];
                let at = |name: &str| scenario.folder().join(name);
                let tag =
                    |name: &str| format!("--tag={}", destination.replace('@', at(name).to_str().unwrap()));
                let context = scenario.context().display().to_string();
                let native_tag = tag("native");
                scenario.engine(&[&["build", "--pull=never"], &same[..], &[&native_tag, &context]].concat());
                let built =
                    scenario.build(&[&same[..], &["--stage-labels=false", &tag("ours")]].concat()).ok();
                assert!(scenario.has(&built.image()), "{kind:?} {destination}");
                let read = |name: &str| {
                    let path = at(name);
                    if path.is_dir() {
                        return contents(&path);
                    }
                    let unpacked = at(&format!("{name}-unpacked"));
                    tar::Archive::new(fs::File::open(path).unwrap()).unpack(&unpacked).unwrap();
                    contents(&unpacked)
                };
                let (native, ours) = (read("native"), read("ours"));
                assert!(native.len() > 2);
                let places = format!("{kind:?} {destination} {format}");
                assert_eq!(native.len(), ours.len(), "{places}");
                let (native_configs, our_configs) = (configs(&native), configs(&ours));
                assert_eq!(native_configs.len(), 1, "{places}");
                // Docker-format images name the container that they were made from.
                if format == "--format=docker" {
                    assert_eq!(native_configs[0]["rootfs"], our_configs[0]["rootfs"], "{places}");
                    continue;
                }
                assert_eq!(native_configs, our_configs, "{places}");
                // `push` compresses the layers of an OCI layout, whatever it is told (1.28).
                assert!(destination.starts_with("oci") || native == ours, "{places}");
            }
        }
    }
}

#[test]
fn each_destination_is_written_beside_the_names_also_where_nothing_runs() {
    for kind in BOTH {
        let scenario = Scenario::on(kind, FILE).file("f", "f");
        let at = |name: &str| scenario.folder().join(name);
        scenario.build(&["--layers"]).ok();
        let (a, b) = (format!("dir:{}", at("a").display()), format!("oci-archive:{}", at("b").display()));
        let built = scenario.build(&["-t", "app:1", "-t", &a, "-t", &b, "-t=containers-storage:app:2"]).ok();
        assert_eq!(built.builds(), 0, "{kind:?}: {}", built.stderr);
        let mut names = scenario.image(&built.image()).names;
        names.sort();
        assert_eq!(names, ["localhost/app:1", "localhost/app:2"], "{kind:?}");
        let manifest: Value = serde_json::from_slice(&fs::read(at("a/manifest.json")).unwrap()).unwrap();
        assert_eq!(manifest["config"]["digest"], format!("sha256:{}", built.image()), "{kind:?}");
        assert!(at("b").is_file(), "{kind:?}");
        assert!(built.stdout.trim_end().ends_with(&built.image()), "{kind:?}: {}", built.stdout);
        // It is written again, as natively.
        scenario.build(&["-t", &a, "-t", &b]).ok();
    }
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_runs() {
    let scenario = Scenario::new(FILE).file("f", "f");
    fs::create_dir(scenario.folder().join("full")).unwrap();
    fs::write(scenario.folder().join("full/file"), "x").unwrap();
    for tag in
        ["dir:full", "docker-archive:full/file:a:1", "dir:full/file", "NoName", "containers-storage:NoName"]
    {
        let built = scenario.build(&["-t", tag]).fails(125);
        assert_eq!(built.builds(), 0, "{tag}: {}", built.stderr);
        assert!(
            built.stderr.contains(tag.trim_start_matches("containers-storage:")),
            "{tag}: {}",
            built.stderr
        );
    }
}
