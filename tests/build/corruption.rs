//! What becomes of a build when files of the state folder are not what was written: each kind of file, damaged in each
//! way. Nothing panics, hangs or fails, the image is right, and what cannot be used is named once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::Scenario;

const STAGES: &str = "\
FROM docker.io/library/busybox AS a
ENV X=1
COPY f /f
RUN cat /f >/g
FROM docker.io/library/busybox
COPY --from=a /g /h
CMD [\"/h\"]
";

/// What can happen to a file; `other` is the content of another one.
type Damage = (&'static str, fn(&Path, other: &[u8]));

fn flip(path: &Path, part: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = (bytes.len() * part / 16).min(bytes.len().saturating_sub(1));
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 0x55;
    }
    fs::write(path, bytes).unwrap();
}

fn instead(path: &Path, make: impl FnOnce(&Path)) {
    fs::remove_file(path).unwrap();
    make(path);
}

const DAMAGES: [Damage; 11] = [
    ("flipped at the start", |path, _| flip(path, 0)),
    ("flipped near the start", |path, _| flip(path, 1)),
    ("flipped in the middle", |path, _| flip(path, 8)),
    ("flipped at the end", |path, _| flip(path, 16)),
    ("cut in half", |path, _| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("cut at the end", |path, _| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len().saturating_sub(1)]).unwrap();
    }),
    ("emptied", |path, _| fs::write(path, "").unwrap()),
    ("replaced by another", |path, other| fs::write(path, other).unwrap()),
    ("made a folder", |path, _| {
        instead(path, |path| fs::create_dir_all(path.join("below")).unwrap());
    }),
    ("made a pipe", |path, _| {
        instead(path, |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap());
    }),
    ("made a link to a device", |path, _| {
        instead(path, |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap());
    }),
];

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.is_ok_and(|status| status.success()));
}

/// The kind of a file: its folder, or its name.
fn kind(state: &Path, file: &Path) -> String {
    let parts: Vec<String> =
        file.strip_prefix(state).unwrap().iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts[0] == "storages" { parts[2].clone() } else { parts[0].clone() }
}

/// Runs the program, and not for ever.
fn run(scenario: &Scenario, words: &[&str], context: bool) -> Output {
    let mut program = scenario.program(&[]);
    program.args(scenario.globals()).args(words);
    if context {
        program.arg(scenario.context());
    }
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "60"]).arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.output().unwrap()
}

#[test]
fn every_file_of_the_state_folder_may_be_damaged_in_every_way() {
    let scenario = Scenario::new(STAGES).file("f", "f\n");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    fs::File::open(scenario.context().join("f")).unwrap().set_modified(old).unwrap();
    // A file is noted in the index when it is no longer young.
    std::thread::sleep(std::time::Duration::from_millis(3500));
    for _ in 0..2 {
        let built = run(&scenario, &["build", "--tag=app:1"], true);
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }
    let whole = scenario.image("localhost/app:1").id;
    let pristine = scenario.folder().join("pristine");
    copy(&scenario.state(), &pristine);
    let files = files_below(&pristine);
    let kinds: std::collections::BTreeSet<String> = files.iter().map(|file| kind(&pristine, file)).collect();
    let expected =
        ["builds", "engines", "entries", "images", "index", "locks", "names-copy.json", "names.json"];
    assert!(expected.iter().all(|kind| kinds.contains(*kind)), "{kinds:?}");

    let mut seen = std::collections::BTreeMap::new();
    for (n, file) in files.iter().enumerate() {
        let kind = kind(&pristine, file);
        // Of a kind that has many, the first ones are damaged.
        let count = seen.entry(kind.clone()).or_insert(0);
        *count += 1;
        if *count > 2 {
            continue;
        }
        let other = fs::read(&files[(n + 1) % files.len()]).unwrap();
        for (m, (what, damage)) in DAMAGES.iter().enumerate() {
            copy(&pristine, &scenario.state());
            damage(&scenario.state().join(file.strip_prefix(&pristine).unwrap()), &other);
            let mut told = 0;
            let mut commands = vec![(vec!["plan"], true), (vec!["ls"], false)];
            if (n + m).is_multiple_of(4) {
                commands.insert(0, (vec!["build", "--tag=app:1"], true));
            }
            for (words, context) in commands {
                let output = run(&scenario, &words, context);
                let stderr = String::from_utf8_lossy(&output.stderr);
                let code = output.status.code();
                assert_eq!(code, Some(0), "{kind} {what}, {words:?}: {stderr}");
                assert!(!stderr.contains("panicked"), "{kind} {what}, {words:?}: {stderr}");
                told += stderr.matches("cannot be used").count();
            }
            assert!(told <= 1, "{kind} {what}: told of {told} times");
            let is_read = ["index", "engines", "nearest"].contains(&&*kind);
            assert!(!is_read || told == 1 || what.starts_with("flipped"), "{kind} {what}: not told of");
            assert_eq!(scenario.image("localhost/app:1").id, whole, "{kind} {what}");
        }
    }
}

#[test]
fn what_is_not_there_any_more_is_built_again() {
    let scenario = Scenario::new(STAGES).file("f", "f\n");
    scenario.build(&["--tag=app:1"]).ok();
    for kind in ["entries", "images", "nearest", "names.json", "trees", "locks", "builds"] {
        let storage = fs::read_dir(scenario.state().join("storages")).unwrap().next().unwrap().unwrap();
        let path = storage.path().join(kind);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
            fs::write(&path, "a file where a folder was").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        scenario.write("f", kind);
        let built = scenario.build(&["--tag=app:1"]).ok();
        let files = scenario.files(&scenario.image(&built.image()));
        assert_eq!(files["h"], format!("file 644 0:0 {kind}"));
        let again = scenario.build(&["--tag=app:1"]).ok();
        assert_eq!(again.builds(), 0, "{kind}: {}", again.stderr);
        assert!(!again.stderr.contains("cannot be"), "{kind}: {}", again.stderr);
    }
}
