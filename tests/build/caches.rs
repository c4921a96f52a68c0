//! What a build leaves for later builds beside images: the content of `type=cache` mounts, which lies where the engine
//! keeps it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{BOTH, Built, Scenario};

/// A RUN that shows what the cache holds, and adds a line to it.
fn adding(mount: &str, line: &str) -> String {
    format!(
        "FROM docker.io/library/busybox\nRUN --mount=type=cache,target=/c{mount} \
         echo \"found [$(cat /c/lines 2>/dev/null | tr '\\n' ' ')]\" >&2; echo {line} >>/c/lines\n"
    )
}

#[track_caller]
fn assert_found(built: &Built, lines: &str) {
    assert!(built.stderr.contains(&format!("found [{lines}]")), "not [{lines}]: {}", built.stderr);
}

#[test]
fn what_one_build_writes_to_a_cache_the_next_one_reads() {
    for kind in BOTH {
        for layers in ["--layers=true", "--layers=false"] {
            for mount in ["", ",id=x", ",sharing=locked", ",sharing=private,id=y", ",sharing=shared"] {
                let scenario = Scenario::on(kind, &adding(mount, "one"));
                let first = scenario.build(&[layers]);
                if first.code != 0 && mount.contains("private") {
                    // No version knows it yet.
                    continue;
                }
                assert_found(&first.ok(), "");
                scenario.containerfile(&adding(mount, "two"));
                assert_found(&scenario.build(&[layers]).ok(), "one ");
                scenario.assert_clean();
            }
        }
    }
}

#[test]
fn a_cache_is_shared_with_the_engines_own_builds() {
    for kind in BOTH {
        for mount in ["", ",id=x,sharing=locked"] {
            let scenario = Scenario::on(kind, &adding(mount, "native"));
            scenario.native(&[]);
            scenario.containerfile(&adding(mount, "ours"));
            assert_found(&scenario.build(&[]).ok(), "native ");
            let last = adding(mount, "last").replace(">&2", ">/found");
            let native = scenario.containerfile(&last).native(&[]);
            assert!(scenario.files(&native)["found"].contains("found [native ours ]"), "{kind:?} {mount}");
        }
    }
}

#[test]
fn a_cache_counts_however_its_mount_comes_into_the_file() {
    for kind in BOTH {
        for layers in ["--layers=true", "--layers=false"] {
            let by_argument = |line: &str| {
                adding("", line).replace("RUN", "ARG OF=cache\nRUN").replace("type=cache", "type=$OF")
            };
            let scenario = Scenario::on(kind, &by_argument("one"));
            // Not every version expands a mount.
            let first = scenario.build(&[layers]);
            if first.code == 0 {
                assert_found(&scenario.containerfile(&by_argument("two")).build(&[layers]).ok(), "one ");
            }

            let trigger = adding("", "$(cat /line)").replace("RUN", "ONBUILD RUN");
            let scenario = Scenario::on(kind, &trigger);
            let docker = ["--format=docker", "--layers", "--tag=localhost/trigger"];
            scenario.native(&docker);
            let standing = |line: &str| format!("FROM localhost/trigger\nRUN echo {line} >/behind\n");
            assert_found(&scenario.containerfile(&standing("1")).build(&[layers, "--no-cache"]).ok(), "");
            let second = scenario.containerfile(&standing("2")).build(&[layers, "--no-cache"]).ok();
            assert!(!second.stderr.contains("found []"), "{kind:?} {layers}: {}", second.stderr);
        }
    }
}

#[test]
fn without_a_tmpdir_a_cache_lies_where_the_engine_has_it() {
    for kind in BOTH {
        let id = format!("stagecache-test-{}-{kind:?}", std::process::id());
        let mount = format!(",id={id}");
        let scenario = Scenario::on(kind, &adding(&mount, &id));
        let build = || {
            let mut command = scenario.build_command(&[]);
            scenario.ended({
                command.env_remove("TMPDIR").arg(scenario.context());
                command
            })
        };
        assert_found(&build().ok(), "");
        scenario.containerfile(&adding(&mount, "two"));
        let second = build().ok();
        let left = folders_with(&id);
        for folder in &left {
            fs::remove_dir_all(folder).unwrap();
        }
        assert_found(&second, &format!("{id} "));
        assert_eq!(left.len(), 1, "{kind:?}: {left:?}");
    }
}

/// Folders of caches in `/var/tmp` whose content names this id.
fn folders_with(id: &str) -> Vec<PathBuf> {
    let folders = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    };
    let of_engine = |path: &PathBuf| path.display().to_string().starts_with("/var/tmp/buildah-cache");
    let caches = folders(Path::new("/var/tmp")).into_iter().filter(of_engine);
    let holds = |path: &PathBuf| fs::read_to_string(path.join("lines")).is_ok_and(|lines| lines.contains(id));
    caches.flat_map(|cache| folders(&cache)).filter(holds).collect()
}
