//! Hosts that take only images of some places (`policy.json`): builds go on as the engine's own do, and what the policy
//! refuses stays refused.

use std::fs;

use crate::support::{BOTH, Kind, Scenario};

const REJECTS: &str = r#"{
    "default": [{"type": "reject"}],
    "transports": {"docker": {"registry.example.org/ok": [{"type": "insecureAcceptAnything"}]}}
}"#;

/// Steps with a tail, a COPY that can be patched, a pending trigger, and names: each way in which images are made.
const FILE: &str = "FROM docker.io/library/busybox AS a\nCOPY d /d\nRUN echo a >/a\nENTRYPOINT [\"/a\"]\n\
                    ONBUILD RUN echo never\nFROM a AS b\nWORKDIR /w\nUSER 1000\nCOPY f /w/f\nLABEL x=y\n";

/// A scenario whose builds run on a host that rejects whatever it is not told to take.
fn strict(kind: Kind, text: &str) -> Scenario {
    let scenario = Scenario::on(kind, text).file("d/one", "1").file("d/two", "2").file("f", "f");
    let folder = scenario.folder().join("home/.config/containers");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("policy.json"), REJECTS).unwrap();
    scenario
}

#[test]
fn a_policy_that_rejects_by_default_does_not_stand_in_the_way_of_what_we_make() {
    for kind in BOTH {
        for flags in [&["--layers=true"][..], &["--layers=false"], &["--format=docker"], &["--save-stages"]] {
            let scenario = strict(kind, FILE);
            let build = |flags: &[&str]| {
                let mut command = scenario.build_command(flags);
                command.env("HOME", scenario.folder().join("home"));
                command.arg(scenario.context());
                scenario.ended(command).ok()
            };
            let folder = format!("dir:{}", scenario.folder().join("image").display());
            // podman's push is held to the policy whatever it is told (4.3).
            let names: &[&str] = match kind {
                Kind::Buildah => &["-t", "app:1", "-t", "app:2", "-t", &folder],
                Kind::Podman => &["-t", "app:1", "-t", "app:2"],
            };
            build(&[flags, names].concat());
            scenario.write("d/one", "changed");
            build(&[flags, &["--label=l=1"]].concat());
        }
    }
}

#[test]
fn a_policy_that_is_given_as_a_flag_holds_for_bases_and_not_for_what_we_make() {
    for kind in BOTH {
        let scenario = strict(kind, FILE);
        let policy = scenario.folder().join("home/.config/containers/policy.json");
        let flag = format!("--signature-policy={}", policy.display());
        scenario.build(&[&flag, "-t", "app:1"]).ok();
    }
}

#[test]
fn a_base_that_the_policy_refuses_stays_refused() {
    for kind in BOTH {
        let scenario = strict(kind, "");
        let base = format!("dir:{}", scenario.folder().join("base").display());
        scenario.engine(&["push", "--quiet", "docker.io/library/busybox:latest", &base]);
        scenario.containerfile(&format!("FROM {base}\nRUN echo a >/a\n"));
        let policy = scenario.folder().join("home/.config/containers/policy.json");
        let by_flag = format!("--signature-policy={}", policy.display());
        for flags in [&[][..], &[by_flag.as_str()]] {
            let mut command = scenario.build_command(flags);
            command.env("HOME", scenario.folder().join("home")).arg(scenario.context());
            let built = scenario.ended(command);
            assert_eq!(built.code, 125, "{kind:?}: {}", built.stderr);
            assert!(built.stderr.contains("rejected by policy"), "{kind:?}: {}", built.stderr);
        }
    }
}
