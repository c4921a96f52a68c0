//! Secrets that a build is given, looked for in everything that it keeps and says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support::{BOTH, Scenario};
use crate::world;

/// Texts that may be found nowhere.
const CANARIES: [&str; 5] = [
    "canary-of-a-secret",
    "canary-of-an-argument",
    "canary-of-the-environment",
    "canary-of-a-login",
    "canary-of-a-key",
];

#[test]
#[ignore = "minutes long: make test-faults"]
fn secrets_are_found_nowhere_but_in_the_image() {
    for kind in BOTH {
        let scenario = Scenario::on(
            kind,
            "FROM docker.io/library/busybox AS a\nARG TOKEN\nRUN --mount=type=secret,id=s test -s /run/secrets/s; \
             test -n \"$TOKEN\"; echo done >/a\nFROM docker.io/library/busybox\nCOPY --from=a /a /a\n",
        );
        let (secret, login) = (scenario.folder().join("secret"), scenario.folder().join("auth.json"));
        fs::write(&secret, CANARIES[0]).unwrap();
        fs::write(&login, format!("{{\"auths\":{{\"example.com\":{{\"auth\":\"{}\"}}}}}}", CANARIES[3]))
            .unwrap();
        let flags = [
            format!("--secret=id=s,src={}", secret.display()),
            format!("--build-arg=TOKEN={}", CANARIES[1]),
            "--secret=id=other,env=HUSH".to_owned(),
            format!("--authfile={}", login.display()),
            format!("--creds=me:{}", CANARIES[4]),
            format!("--metadata-file={}", scenario.folder().join("state/metadata.json").display()),
        ];
        fs::create_dir_all(scenario.state()).unwrap();
        for flag in ["--tag=app:1", "--no-cache"] {
            let mut command = world::build(&scenario, &[flags.as_slice(), &[flag.to_owned()]].concat());
            let child = command.env("HUSH", CANARIES[2]).stdin(Stdio::null()).spawn().unwrap();
            // The engines themselves show what they are given by name; ours shows only what it was called with.
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{kind:?}: {}", world::told(&output));
            let told = world::told(&output);
            for canary in CANARIES {
                assert!(!told.contains(canary), "{kind:?} says {canary}: {told}");
            }
        }
        for view in
            [&["ls", "--format=json"][..], &["explain", "--format=json"], &["inspect"], &["plan", "."]]
        {
            let output = scenario.program(&[]).args(scenario.globals()).args(view).output().unwrap();
            for canary in CANARIES {
                assert!(!world::told(&output).contains(canary), "{kind:?} {view:?} shows {canary}");
            }
        }
        let mut found = Vec::new();
        search(&scenario.state(), &mut found);
        search(&scenario.tmp(), &mut found);
        assert_eq!(found, [(PathBuf::new(), ""); 0], "{kind:?}");
    }
}

fn search(folder: &Path, found: &mut Vec<(PathBuf, &'static str)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            search(&path, found);
        } else if let Ok(bytes) = fs::read(&path) {
            let text = String::from_utf8_lossy(&bytes);
            // An ARG in scope of a RUN stands in the history of the stage's image, whose config is kept.
            let shown = folder.parent().is_some_and(|above| above.ends_with("images"));
            let text = if shown { text.replace(CANARIES[1], "") } else { text.into_owned() };
            found.extend(
                CANARIES
                    .iter()
                    .filter(|canary| text.contains(**canary))
                    .map(|canary| (path.clone(), *canary)),
            );
        }
    }
}
