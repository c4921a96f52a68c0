//! `podman stagecache …` at the prompt and in scripts, in each shell that is installed.
//!
//! podman, buildah and podman-stagecache are stand-ins here that print how they were called.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is typed, and which program is called with which words.
const CALLS: &[(&str, &str)] = &[
    ("podman stagecache build -t app .", "podman-stagecache <--engine=podman> <build> <-t> <app> <.>"),
    ("buildah stagecache build .", "podman-stagecache <--engine=buildah> <build> <.>"),
    (
        "podman --root /r --log-level=debug stagecache ls",
        "podman-stagecache <--engine=podman> <--root> </r> <--log-level=debug> <ls>",
    ),
    ("podman -c far stagecache ls", "podman-stagecache <--engine=podman> <-c> <far> <ls>"),
    ("podman -r stagecache ls", "podman-stagecache <--engine=podman> <-r> <ls>"),
    ("podman stagecache", "podman-stagecache <--engine=podman>"),
    (
        "podman stagecache build 'two words' '' '*' '$HOME' 'a\\b'",
        "podman-stagecache <--engine=podman> <build> <two words> <> <*> <$HOME> <a\\b>",
    ),
    (
        "podman stagecache build --target stagecache stagecache",
        "podman-stagecache <--engine=podman> <build> <--target> <stagecache> <stagecache>",
    ),
    // Everything else is none of our business.
    ("podman", "podman"),
    ("podman ps -a", "podman <ps> <-a>"),
    ("podman run 'two words' '' '*'", "podman <run> <two words> <> <*>"),
    ("podman run stagecache", "podman <run> <stagecache>"),
    ("podman --root stagecache ps", "podman <--root> <stagecache> <ps>"),
    ("podman -- stagecache", "podman <--> <stagecache>"),
    ("buildah build -t stagecache .", "buildah <build> <-t> <stagecache> <.>"),
    // The protocol of the completion scripts: the last word is being typed.
    (
        "podman __complete stage",
        "stagecache\tBuild with a cache, an image and a reason for each stage\npodman <__complete> <stage>",
    ),
    (
        "podman __complete --root /r ''",
        "stagecache\tBuild with a cache, an image and a reason for each stage\npodman <__complete> <--root> </r> <>",
    ),
    ("podman __completeNoDesc st", "stagecache\npodman <__completeNoDesc> <st>"),
    ("podman __complete build --ta", "podman <__complete> <build> <--ta>"),
    ("podman __complete run stagecache ''", "podman <__complete> <run> <stagecache> <>"),
    ("podman __complete stagecache build --ta", "--target\tbuild this stage\n:4"),
    ("buildah __complete --root /r stagecache build --ta", "--target\tbuild this stage\n:4"),
    ("podman __completeNoDesc stagecache build --ta", "--target\n:4"),
    ("podman __complete stagecache build ./no", ":0"),
];

struct StandIns {
    folder: tempfile::TempDir,
    repository: PathBuf,
}

impl StandIns {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let calls = "#!/bin/sh\nprintf '%s' \"${0##*/}\"\n[ $# = 0 ] || printf ' <%s>' \"$@\"\necho\nexit ${CODE:-0}\n";
        for name in ["podman", "buildah"] {
            write_program(&folder.path().join(name), calls);
        }
        let completes = format!(
            "#!/bin/sh\nif [ \"${{COMPLETE:-}}\" = fish ]; then\n    [ \"$*\" != '-- podman-stagecache build --ta' ] || \
             printf -- '--target\\tbuild this stage\\n'\n    exit\nfi\n{}",
            calls.trim_start_matches("#!/bin/sh\n")
        );
        write_program(&folder.path().join("podman-stagecache"), &completes);
        Self { folder, repository: PathBuf::from(env!("CARGO_MANIFEST_DIR")) }
    }

    /// Runs a script in a shell with the stand-ins first in PATH, after `first`.
    fn run(&self, shell: &[&str], first: &str, script: &str) -> (String, i32) {
        let path = std::env::var("PATH").unwrap();
        let output = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", script])
            .env("PATH", format!("{first}{}:{path}", self.folder.path().display()))
            .env_remove("BASH_ENV")
            .env_remove("ENV")
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(output.stderr.is_empty(), "{shell:?}: {script}: {}", String::from_utf8_lossy(&output.stderr));
        (String::from_utf8(output.stdout).unwrap().trim_end().to_owned(), output.status.code().unwrap())
    }

    fn profile(&self) -> String {
        self.repository.join("contrib/shell/podman-stagecache.sh").display().to_string()
    }
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn shells() -> Vec<Vec<&'static str>> {
    let all: [&[&str]; 5] = [&["bash"], &["sh"], &["dash"], &["zsh", "-f"], &["busybox", "sh"]];
    let there = |shell: &&&[&str]| Command::new(shell[0]).arg("-c").arg(":").output().is_ok();
    let shells: Vec<_> = all.iter().filter(there).map(|shell| shell.to_vec()).collect();
    for shell in all.iter().filter(|shell| !there(shell)) {
        eprintln!("not tested, since it is not installed: {}", shell[0]);
    }
    assert!(shells.len() >= 2, "bash and sh are everywhere");
    shells
}

#[test]
fn the_profile_function_takes_what_is_ours_and_hands_on_the_rest() {
    let stand_ins = StandIns::new();
    for shell in shells() {
        // `set -u` and `set -e`: a profile must live with what people have set.
        for options in ["", "set -eu;"] {
            for (typed, expected) in CALLS {
                let script = format!("{options} . '{}'\n{typed}", stand_ins.profile());
                assert_eq!(
                    stand_ins.run(&shell, "", &script),
                    ((*expected).to_owned(), 0),
                    "{shell:?}: {typed}"
                );
            }
        }
    }
}

#[test]
fn the_programs_exit_code_is_the_functions() {
    let stand_ins = StandIns::new();
    for shell in shells() {
        for typed in ["podman ps", "podman stagecache build", "buildah run stagecache"] {
            let script = format!(". '{}'\nexport CODE=7\n{typed}", stand_ins.profile());
            assert_eq!(stand_ins.run(&shell, "", &script).1, 7, "{shell:?}: {typed}");
        }
    }
}

#[test]
fn an_alias_that_someone_has_stays() {
    let stand_ins = StandIns::new();
    let script = format!(
        "shopt -s expand_aliases\nalias podman='echo mine'\n. '{}'\nalias podman",
        stand_ins.profile()
    );
    assert_eq!(stand_ins.run(&["bash"], "", &script), ("alias podman='echo mine'".to_owned(), 0));
}

#[test]
fn the_shim_does_the_same_in_scripts() {
    let stand_ins = StandIns::new();
    let shims = stand_ins.repository.join("contrib/bin").display().to_string() + ":";
    let real = |name: &str| stand_ins.folder.path().join(name).display().to_string();
    for (typed, expected) in CALLS {
        // The engine is named by its path: by its name alone it would be the shim.
        let expected = ["podman", "buildah"].iter().fold((*expected).to_owned(), |text, name| {
            text.replace(&format!("--engine={name}"), &format!("--engine={}", real(name)))
        });
        assert_eq!(stand_ins.run(&["sh"], &shims, typed), (expected, 0), "{typed}");
    }
    assert_eq!(stand_ins.run(&["sh"], &shims, "export CODE=7; podman stagecache ls").1, 7);
}

#[test]
fn an_installed_shim_finds_its_library_beside_it() {
    let stand_ins = StandIns::new();
    let folder = tempfile::tempdir().unwrap();
    let contrib = stand_ins.repository.join("contrib");
    fs::copy(contrib.join("bin/podman"), folder.path().join("podman")).unwrap();
    fs::copy(contrib.join("shell/podman-stagecache.sh"), folder.path().join("podman-stagecache.sh")).unwrap();
    symlink("podman", folder.path().join("buildah")).unwrap();
    let first = format!("{}:", folder.path().display());
    let (said, code) = stand_ins.run(&["sh"], &first, "buildah ps");
    assert_eq!((said.as_str(), code), ("buildah <ps>", 0));
}

#[test]
fn docker_finds_a_plugin() {
    let stand_ins = StandIns::new();
    let plugin = stand_ins.repository.join("contrib/bin/docker-stagecache").display().to_string();
    let (metadata, _) = stand_ins.run(&["sh"], "", &format!("{plugin} docker-cli-plugin-metadata"));
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["SchemaVersion"], "0.1.0");
    let (said, _) = stand_ins.run(&["sh"], "", &format!("{plugin} stagecache build -t app ."));
    assert_eq!(said, "podman-stagecache <build> <-t> <app> <.>");
}

#[test]
fn every_global_flag_of_the_installed_engines_that_takes_a_value_is_known() {
    let function =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/shell/podman-stagecache.sh"))
            .unwrap();
    let known: Vec<&str> = function.split_whitespace().map(|word| word.trim_end_matches(')')).collect();
    let mut checked = 0;
    for engine in ["podman", "buildah"] {
        let help =
            Command::new(engine).arg("--help").output().unwrap_or_else(|error| panic!("{engine}: {error}"));
        for line in String::from_utf8(help.stdout).unwrap().lines() {
            // `-c, --connection string   Connection to use`: a type word behind the name means that it takes a value.
            let Some((_, flag)) = line.split_once("--").filter(|(before, _)| before.trim().len() <= 3) else {
                continue;
            };
            let words: Vec<&str> = flag.split("  ").next().unwrap_or_default().split_whitespace().collect();
            if let [name, _] = words[..] {
                checked += 1;
                assert!(known.contains(&format!("--{name}").as_str()), "{engine} --{name}");
            }
        }
    }
    assert!(checked > 10, "the engines' help reads otherwise than expected: {checked}");
}
