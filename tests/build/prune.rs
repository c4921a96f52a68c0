//! What `prune` takes, and what never only grows.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::{BOTH, Built, Kind, Scenario};
use crate::three_stages;

fn prune(scenario: &Scenario, flags: &[&str]) -> Built {
    let mut command = scenario.program(&[]);
    command.args(scenario.globals()).arg("prune");
    command.arg(format!("--engine={}", scenario.kind.program().display())).args(flags);
    scenario.ended(command)
}

fn storage(scenario: &Scenario) -> PathBuf {
    fs::read_dir(scenario.state().join("storages")).unwrap().next().unwrap().unwrap().path()
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files_below(&path)),
            false => found.push(path.file_name().unwrap().to_string_lossy().into_owned()),
        }
    }
    found
}

#[test]
fn a_stage_that_there_is_none_of_is_an_error_that_lists_those_that_there_are() {
    let scenario = three_stages(Kind::Buildah);
    let none = prune(&scenario, &["--stage=base"]).fails(125);
    assert!(none.error().contains("--stage=base: no build has left a stage here"), "{}", none.stderr);
    scenario.build(&["--tag=app:1"]).ok();
    scenario.engine(&["rmi", "localhost/app:1"]);
    let images = scenario.listed().len();
    let refused = prune(&scenario, &["--all", "--stage=nosuch"]).fails(125);
    assert!(
        refused.error().contains("--stage=nosuch: no build has left such a stage; there are"),
        "{}",
        refused.stderr
    );
    assert!(refused.error().contains("base, build"), "{}", refused.stderr);
    assert_eq!(scenario.listed().len(), images);
    prune(&scenario, &["--all", "--stage=build"]).ok();
    let left: Vec<String> = scenario.listed().into_iter().flat_map(|image| image.names).collect();
    let of =
        |stage: &str| left.iter().any(|name| name.starts_with(&format!("localhost/stagecache/{stage}:")));
    assert!(of("base") && !of("build"), "{left:?}");
}

#[test]
fn an_image_that_a_container_uses_stays_and_keeps_nothing_else() {
    for kind in BOTH {
        let scenario = three_stages(kind);
        let built = scenario.build(&["--tag=app:1"]).ok();
        let name = built.stage("build")["image_name"].as_str().unwrap();
        let container = match kind {
            Kind::Buildah => scenario.engine(&["from", name]),
            Kind::Podman => scenario.engine(&["create", name, "true"]),
        };
        let pruned = prune(&scenario, &["--all"]).ok();
        assert!(
            pruned.stdout.contains(&format!("{name} stays: a container uses it")),
            "{kind:?}: {}",
            pruned.stdout
        );
        let names = || scenario.listed().into_iter().flat_map(|image| image.names).collect::<Vec<_>>();
        let ours =
            names().into_iter().filter(|name| name.starts_with("localhost/stagecache/")).collect::<Vec<_>>();
        assert_eq!(ours, [name], "{kind:?}");
        scenario.engine(&["rm", container.trim()]);
        prune(&scenario, &["--all"]).ok();
        assert!(!names().iter().any(|name| name.starts_with("localhost/stagecache/")), "{kind:?}");
    }
}

#[test]
fn pruning_all_leaves_nothing_but_what_names_the_storage() {
    let scenario = three_stages(Kind::Buildah);
    for text in ["1", "2", "3"] {
        scenario.write("src", text);
        scenario.build(&["--tag=app:1"]).ok();
    }
    // What an image of the user's stands on stays with it.
    scenario.engine(&["rmi", "localhost/app:1"]);
    fs::create_dir_all(storage(&scenario).join("unreadable/folder")).unwrap();
    let told = prune(&scenario, &["--all", "--dry-run"]).ok().stdout;
    assert!(told.contains("would remove") && told.contains("3 records"), "{told}");
    prune(&scenario, &["--all"]).ok();
    let mut left = files_below(&storage(&scenario));
    // The lock that the prune itself held.
    left.retain(|name| name.len() != 32);
    left.sort();
    assert_eq!(left, ["names-copy.json", "names.json", "secret.json", "storage.json"]);
    assert_eq!(prune(&scenario, &["--all"]).ok().stdout, "nothing to remove\n");
    let built = scenario.build(&["--tag=app:1"]).ok();
    assert_eq!(scenario.files(&scenario.image(&built.image()))["app"], "file 644 0:0 3c\n");
}

#[test]
fn what_nothing_has_used_for_long_goes_after_a_build_that_made_something_once_a_day() {
    let scenario = three_stages(Kind::Buildah);
    scenario.build(&["--tag=app:1"]).ok();
    let old = SystemTime::now() - Duration::from_secs(100 * 24 * 60 * 60);
    let plant = || {
        let paths = [
            "index/0.index",
            "short-names/0.json",
            "unreadable/x.json",
            "entries/.tmp1",
            "locks/0",
            "../../engines/0.json",
        ];
        let paths: Vec<PathBuf> = paths.iter().map(|path| storage(&scenario).join(path)).collect();
        for path in &paths {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
            fs::File::open(path).unwrap().set_modified(old).unwrap();
        }
        let image = storage(&scenario).join(format!("images/aa/{}.json", "a".repeat(64)));
        fs::create_dir_all(image.parent().unwrap()).unwrap();
        fs::write(&image, "").unwrap();
        paths.into_iter().chain([image]).collect::<Vec<_>>()
    };
    let left = |paths: &[PathBuf]| paths.iter().filter(|path| path.exists()).count();
    let planted = plant();
    scenario.write("src", "2");
    scenario.build(&["--tag=app:1"]).ok();
    assert_eq!(left(&planted), planted.len(), "there was a sweep just now");
    fs::File::open(storage(&scenario).join("swept")).unwrap().set_modified(old).unwrap();
    scenario.build(&["--tag=app:1"]).ok();
    assert_eq!(left(&planted), planted.len(), "this build made nothing");
    scenario.write("src", "3");
    scenario.build(&["--tag=app:1"]).ok();
    assert_eq!(left(&planted), 0);
    assert_eq!(scenario.build(&["--tag=app:1"]).expect("base hh, build hh, 2 h").builds(), 0);
    let planted = plant();
    prune(&scenario, &[]).ok();
    assert_eq!(left(&planted), 0, "prune sweeps whenever it is asked");
    assert_eq!(scenario.build(&["--tag=app:1"]).expect("base hh, build hh, 2 h").builds(), 0);
}
