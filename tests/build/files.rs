//! Files that flags name: a pipe can be read once and counts for each step, and one that is not there is told at once.

use std::fs;
use std::thread;

use crate::support::{BOTH, Scenario};

#[test]
fn a_pipe_counts_for_each_step_and_is_read_once() {
    let text = "FROM docker.io/library/busybox\nCOPY . /one\nRUN --mount=type=secret,id=s cp /run/secrets/s /a\n\
                COPY . /two\nRUN --mount=type=secret,id=s cp /run/secrets/s /b\n";
    for kind in BOTH {
        let scenario = Scenario::on(kind, text).file("left-out", "x").file("kept", "x");
        let pipe = |name: &str, text: &'static str| {
            let path = scenario.folder().join(name);
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
            let shown = path.display().to_string();
            (shown, thread::spawn(move || fs::write(path, text).unwrap()))
        };
        let (ignore, first) = pipe("ignore", "left-out\n");
        let (authfile, second) = pipe("auth", "{\"auths\": {}}");
        let (secret, third) = pipe("secret", "hidden");
        let policy = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;
        let (policy, fourth) = pipe("policy", policy);
        let flags = [
            format!("--ignorefile={ignore}"),
            format!("--authfile={authfile}"),
            format!("--secret=id=s,src={secret}"),
            format!("--signature-policy={policy}"),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let built = scenario.build(&flags).ok();
        for writer in [first, second, third, fourth] {
            writer.join().unwrap();
        }
        let files = scenario.files(&scenario.image(&built.image()));
        assert!(files["a"].ends_with("hidden") && files["b"].ends_with("hidden"), "{kind:?}: {files:?}");
        assert!(files.contains_key("one/kept") && files.contains_key("two/kept"), "{kind:?}");
        assert!(!files.contains_key("one/left-out") && !files.contains_key("two/left-out"), "{kind:?}");
        scenario.assert_clean();
    }
}

#[test]
fn a_file_that_is_not_there_is_told_at_once_also_where_nothing_runs() {
    for kind in BOTH {
        let scenario = Scenario::on(kind, "FROM docker.io/library/busybox\nCOPY f /f\n").file("f", "f");
        scenario.build(&[]).ok();
        for flag in ["--authfile=none", "--ignorefile=none", "--secret=id=s,src=none"] {
            let built = scenario.build(&[flag]).fails(125);
            assert!(built.stderr.contains("none"), "{kind:?} {flag}: {}", built.stderr);
        }
        scenario.build(&["--authfile="]).ok();
        // As natively.
        let mut command = scenario.build_command(&[]);
        command.env("REGISTRY_AUTH_FILE", "/nonexistent/auth.json").arg(scenario.context());
        scenario.ended(command).ok();
    }
}
