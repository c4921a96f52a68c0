//! What is shown of the output of a build: all that its commands print, and nothing of what the engine says around them.

use crate::support::{BOTH, Built, Scenario};

/// Lines that the engines print of themselves.
const LOOKALIKES: &[&str] = &[
    "COMMIT",
    "COMMIT localhost/stagecache/a",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "STEP 1/2: x",
    "[1/1] STEP 2/2: x",
    "--> 0123456789ab",
    "Successfully tagged localhost/stagecache/a",
    "COMMIT",
];

/// The lines of all commands' output, without what the progress puts in front.
fn printed(built: &Built) -> Vec<&str> {
    let of_command =
        |line: &'_ str| line.starts_with('[') && !line.contains("] BUILD ") && !line.contains("] done in ");
    let lines = built.stderr.lines().filter(|line| of_command(line));
    // podman 5 warns of the machine.
    lines.map(|line| line.split_once("] ").unwrap().1).filter(|line| !line.starts_with("time=")).collect()
}

#[test]
fn lines_that_look_like_the_engines_own_are_shown_and_the_engines_own_are_not() {
    // An engine can lose what is printed just before a command ends (1.28, chroot isolation).
    let print: String = LOOKALIKES.iter().map(|line| format!("echo '{line}'; ")).collect();
    let file = format!(
        "FROM docker.io/library/busybox AS a\nWORKDIR /w\nRUN echo first; sleep 0.5\nRUN {print}sleep 0.5\n\
         RUN printf 'no newline'; sleep 0.5\n\
         FROM a\nCOPY --from=a /bin/sh /sh\nENV A=1\nRUN echo last; echo COMMIT; sleep 0.5\nCMD x\n"
    );
    for kind in BOTH {
        for flags in
            [&["--layers=true"][..], &["--layers=false"], &["--layers=false", "--tag=localhost/app:1"]]
        {
            let built = Scenario::on(kind, &file).build(flags).ok();
            let lines = printed(&built);
            // One line of the engine's stands behind what has no newline, where more instructions follow.
            let expected: Vec<&str> = ["first"]
                .iter()
                .chain(LOOKALIKES)
                .chain(&["no newline", "last", "COMMIT"])
                .copied()
                .collect();
            assert_eq!(lines, expected, "{kind:?} {flags:?}: {}", built.stderr);
        }
    }
}

#[test]
fn what_a_command_prints_last_before_it_fails_is_shown_too() {
    let file = "FROM docker.io/library/busybox\nRUN echo said; echo COMMIT; echo '--> 0123456789ab'; sleep 0.5; exit 3\n";
    for kind in BOTH {
        let built = Scenario::on(kind, file).build(&[]).fails(3);
        let said = ["said", "COMMIT", "--> 0123456789ab"];
        let lines: Vec<&str> = printed(&built).into_iter().filter(|line| said.contains(line)).collect();
        assert_eq!(lines, said, "{kind:?}: {}", built.stderr);
    }
}

#[test]
fn what_a_step_prints_is_kept_with_the_record_and_goes_with_it() {
    let text = "FROM docker.io/library/busybox AS a\nRUN echo heard; echo it >&2\n";
    for kind in BOTH {
        let scenario = Scenario::on(kind, text);
        let log_of = |built: &Built| built.stage("a")["steps"][0]["log"].as_str().map(str::to_owned);
        let path = |log: &str| {
            let storages = std::fs::read_dir(scenario.state().join("storages")).unwrap();
            storages.map(|storage| storage.unwrap().path().join(log)).find(|path| path.exists())
        };
        let built = scenario.build(&[]).ok();
        let log = path(&log_of(&built).expect("a step that ran has a log")).unwrap();
        let said = std::fs::read_to_string(&log).unwrap();
        assert!(said.contains("heard\n") && said.contains("it\n"), "{kind:?}: {said}");
        assert_eq!(log_of(&scenario.build(&[]).ok()), None, "{kind:?}: a hit prints nothing");
        scenario.containerfile("FROM docker.io/library/busybox AS a\nRUN echo in vain; exit 3\n");
        let failed = scenario.build(&[]).fails(3);
        let said = std::fs::read_to_string(path(&log_of(&failed).unwrap()).unwrap()).unwrap();
        assert!(said.contains("in vain\n"), "{kind:?}: {said}");
        let pruned =
            scenario.program(&[]).args(scenario.globals()).args(["prune", "--all"]).status().unwrap();
        assert!(pruned.success() && !log.exists(), "{kind:?}");
    }
}
