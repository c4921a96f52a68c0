//! The state folder: whose it may be, and what becomes of a build when it is not as it was left.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use crate::support::{Built, Scenario};

const TWO_STEPS: &str = "FROM docker.io/library/busybox AS a\nCOPY f /f\nRUN cat /f >/g\n";

fn two_steps() -> Scenario {
    Scenario::new(TWO_STEPS).file("f", "f\n")
}

/// A build of the scenario with another state folder.
fn build_in(scenario: &Scenario, state: &Path) -> Built {
    let mut command = scenario.build_command(&["--tag=app:1"]);
    command.arg(scenario.context()).env("STAGECACHE_HOME", state);
    scenario.ended(command)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// All files and folders below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(below(&path));
        }
        found.push(path);
    }
    found
}

#[test]
fn a_state_folder_that_somebody_else_can_write_to_is_refused_with_the_way_out() {
    let scenario = two_steps();
    let make = |name: &str, owner: u32, mode: u32| {
        let folder = scenario.folder().join(name);
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        chown(&folder, Some(owner), Some(owner)).unwrap();
        folder
    };
    let link = scenario.folder().join("link");
    symlink(scenario.folder().join("state"), &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(4242), None).unwrap();
    for (folder, words) in [
        (make("others", 4242, 0o700), "it is user 4242's"),
        (make("open", 0, 0o1777), "everybody may write there"),
        (link.join("below"), "link is a link that user 4242 has made"),
    ] {
        let refused = build_in(&scenario, &folder).fails(125);
        assert!(refused.error().contains(words), "{}", refused.stderr);
        assert!(refused.error().contains("STAGECACHE_HOME"), "{}", refused.stderr);
        assert_eq!(refused.calls, [""; 0], "what is run stands in no file there");
    }
}

#[test]
fn a_state_folder_is_for_its_owner_alone_and_one_that_was_open_is_closed() {
    let scenario = two_steps();
    let state = scenario.folder().join("open");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    build_in(&scenario, &state).ok();
    assert_eq!(mode(&state), 0o700);
    for path in below(&state) {
        assert_eq!(mode(&path), if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
    build_in(&scenario, &scenario.folder().join("new/state")).ok();
    assert_eq!(mode(&scenario.folder().join("new/state")), 0o700);
}

#[test]
fn a_state_folder_that_a_group_shares_goes_on_being_shared() {
    let scenario = two_steps();
    let state = scenario.folder().join("shared");
    fs::create_dir(&state).unwrap();
    chown(&state, Some(0), Some(0)).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o2770)).unwrap();
    build_in(&scenario, &state).ok();
    for path in below(&state) {
        let (mode, group) = (mode(&path) & 0o777, fs::metadata(&path).unwrap().gid());
        assert_eq!((mode, group), (if path.is_dir() { 0o770 } else { 0o660 }, 0), "{}", path.display());
    }
}

#[test]
fn a_state_folder_that_cannot_be_written_is_told_of_and_fails_no_build() {
    let scenario = two_steps();
    for n in ["1", "2"] {
        let built = build_in(&scenario, Path::new("/proc/no-such-folder")).ok();
        assert_eq!(built.stderr.matches("cannot be written").count(), 1, "{n}: {}", built.stderr);
        assert!(built.stderr.contains("/proc/no-such-folder"), "{}", built.stderr);
        assert_eq!(&*scenario.files(&scenario.image("localhost/app:1"))["g"], "file 644 0:0 f\n");
    }
    let mut prune = scenario.program(&[]);
    prune.args(scenario.globals()).arg("prune").env("STAGECACHE_HOME", "/proc/no-such-folder");
    let pruned = scenario.ended(prune).fails(125);
    assert!(pruned.error().contains("nothing is removed"), "{}", pruned.stderr);
}

/// A folder of the scenario that something is mounted on until this goes.
struct Mount(PathBuf);

impl Mount {
    fn new(arguments: &[&str], folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).unwrap();
        let status = std::process::Command::new("mount").args(arguments).arg(&folder).status();
        assert!(status.is_ok_and(|status| status.success()), "this needs a mount: run the tests as root");
        Self(folder)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_state_folder_that_is_read_only_still_has_its_hits() {
    let scenario = two_steps();
    let first = scenario.build(&["--tag=app:1"]).ok();
    let mount = Mount::new(
        &["--bind", "-o", "ro", scenario.state().to_str().unwrap()],
        scenario.folder().join("read-only"),
    );
    let built = build_in(&scenario, &mount.0).ok();
    assert_eq!(built.builds(), 0, "{}", built.stderr);
    assert_eq!(scenario.image("localhost/app:1").id, first.image());
    assert_eq!(built.stderr.matches("cannot be written").count(), 1, "{}", built.stderr);
    scenario.write("f", "2\n");
    build_in(&scenario, &mount.0).ok();
    assert_eq!(&*scenario.files(&scenario.image("localhost/app:1"))["g"], "file 644 0:0 2\n");
}

#[test]
fn a_full_state_folder_fails_no_build_and_leaves_no_half_file() {
    let scenario = two_steps();
    let full =
        Mount::new(&["-t", "tmpfs", "-o", "size=8k,mode=700", "tmpfs"], scenario.folder().join("full"));
    let built = build_in(&scenario, &full.0).ok();
    assert_eq!(built.stderr.matches("cannot be written").count(), 1, "{}", built.stderr);
    assert!(built.stderr.contains("STAGECACHE_HOME"), "{}", built.stderr);
    assert_eq!(scenario.containers(), [""; 0]);
    let again = build_in(&scenario, &full.0).ok();
    assert!(!again.stderr.contains("cannot be used"), "{}", again.stderr);
}

/// `version` as another user, with an engine that only says who it is; its standard output.
fn version_as(scenario: &Scenario, state: &Path, user: &[&str]) -> String {
    let at = |name: &str| scenario.folder().join(name);
    fs::set_permissions(scenario.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    let script = "#!/bin/sh\ncase \"$*\" in\n*version*) echo '{\"version\":\"1.28.2\"}';;\n\
                  *) echo '{\"store\":{\"GraphRoot\":\"/r\",\"GraphDriverName\":\"vfs\"}}';;\nesac\n";
    for (name, bytes) in [
        ("buildah", script.as_bytes().to_vec()),
        ("program", fs::read(env!("CARGO_BIN_EXE_podman-stagecache")).unwrap()),
    ] {
        if !at(name).exists() {
            fs::write(at(name), bytes).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let mut command = std::process::Command::new(user[0]);
    command.args(&user[1..]).arg(at("program")).args(["version", "--engine"]).arg(at("buildah"));
    command.env("STAGECACHE_HOME", state).current_dir("/");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn volumes_of_container_platforms_and_user_namespaces_go_on_working() {
    const ARBITRARY: &[&str] = &["setpriv", "--reuid=1000650000", "--regid=0", "--clear-groups"];
    const ALICE: &[&str] = &["setpriv", "--reuid=4243", "--regid=4243", "--clear-groups"];
    const NAMESPACE: &[&str] =
        &["setpriv", "--reuid=4243", "--regid=4243", "--clear-groups", "unshare", "--map-root-user"];
    let scenario = Scenario::new("FROM scratch\n");
    for (n, (owner, group, mode, user, is_used)) in [
        // A volume as OpenShift has them: root's, for its group.
        (0, 0, 0o2775, ARBITRARY, true),
        (1_000_650_000, 0, 0o770, ARBITRARY, true),
        (0, 0, 0o2777, ARBITRARY, false),
        (4243, 4243, 0o755, ARBITRARY, false),
        (4243, 4243, 0o755, ALICE, true),
        (0, 0, 0o775, ALICE, false),
        (4244, 4243, 0o770, ALICE, false),
        (4243, 4243, 0o755, NAMESPACE, true),
        // Root's there is nobody's.
        (0, 4243, 0o770, NAMESPACE, true),
    ]
    .into_iter()
    .enumerate()
    {
        let state = scenario.folder().join(format!("state{n}"));
        fs::create_dir(&state).unwrap();
        chown(&state, Some(owner), Some(group)).unwrap();
        fs::set_permissions(&state, fs::Permissions::from_mode(mode)).unwrap();
        let told = version_as(&scenario, &state, user);
        assert_eq!(told.contains("buildah 1.28.2"), is_used, "{n}: {told}");
        assert!(!told.contains("cannot be written"), "{n}: {told}");
        let kept = fs::read_dir(state.join("engines")).is_ok_and(|answers| answers.count() == 1);
        assert_eq!(kept, is_used, "{n}");
    }
}

/// Bytes of all files below a folder that have this text.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let has = |path: &PathBuf| {
        path.is_file() && fs::read(path).unwrap().windows(text.len()).any(|part| part == text.as_bytes())
    };
    below(folder).into_iter().filter(has).collect()
}

#[test]
fn values_that_the_image_does_not_show_are_kept_nowhere_and_what_changed_is_told_all_the_same() {
    let scenario = Scenario::new(
        "FROM docker.io/library/busybox AS a\nARG V\nARG W\nRUN test -n \"$V\" && echo 1 >/1\n\
         COPY <<E /2\nbody $W\nE\nRUN --mount=type=tmpfs,target=/$V true\n",
    );
    let build = |v: &str, w: &str, env: &str| {
        let flags = [format!("--build-arg=V={v}"), format!("--build-arg=W={w}"), format!("--env=E={env}")];
        scenario.build(&flags.each_ref().map(String::as_str)).ok()
    };
    build("canary1", "canary2", "canary3");
    let again = build("canary1", "canary2", "canary3");
    assert_eq!(again.builds(), 0, "{}", again.stderr);
    let other = build("canary4", "canary2", "canary3");
    assert!(other.stderr.contains("ARG V changed"), "{}", other.stderr);
    let other = build("canary4", "canary5", "canary6");
    assert!(other.stderr.contains("with another value"), "{}", other.stderr);
    let args = &scenario.records()[0]["request"]["args"];
    assert_eq!(args, &scenario.records()[1]["request"]["args"], "equal values are seen to be equal");
    let unsalted = blake3::hash(b"canary1").to_hex()[..32].to_owned();
    for text in ["canary", &unsalted] {
        let found = files_with(&scenario.state(), text);
        // The config of the image has --env, and its history the ARGs that a RUN sees.
        let of_images = |path: &&PathBuf| !path.components().any(|part| part.as_os_str() == "images");
        assert_eq!(found.iter().filter(of_images).collect::<Vec<_>>(), [""; 0], "{text}");
    }
}
