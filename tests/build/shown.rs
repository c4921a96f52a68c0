//! Text of others is shown and not obeyed, in every view; JSON has it as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::Scenario;

/// A file's name: it would clear the screen, turn the line around, forge a line and hide.
const NAME: &str = "a\x1b[2J\u{202e}\rb\nError: forged\u{9b}2J\u{200b}";

fn scenario() -> Scenario {
    let text = "FROM docker.io/library/busybox AS b\u{202e}\u{200b}\x1b[31mc\n\
                COPY . /a/\n\
                RUN printf '\\033[31mred\\033[0m\\033[2J\\033]0;title\\007 10%%\\r20%%\\n'; sleep 0.5; : '\x1b[2J\u{202e}'\n";
    let scenario = Scenario::new(text);
    fs::write(scenario.context().join(NAME), "1").unwrap();
    scenario
}

/// Fails where a text would be obeyed.
#[track_caller]
fn assert_plain(view: &str, shown: &str) {
    let obeyed = |c: char| {
        c.is_control() && c != '\n'
            || ('\u{200b}'..='\u{200f}').contains(&c)
            || ('\u{202a}'..='\u{202e}').contains(&c)
    };
    let found: Vec<&str> = shown.lines().filter(|line| line.chars().any(obeyed)).collect();
    assert!(found.is_empty(), "{view}: {found:?}");
    assert!(!shown.lines().any(|line| line.starts_with("Error: forged")), "{view}: {shown}");
}

/// What a terminal gets of a command.
fn on_terminal(scenario: &Scenario, command: &Command) -> String {
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().unwrap().replace('\'', "'\\''"));
    let words: Vec<String> =
        [command.get_program()].into_iter().chain(command.get_args()).map(quoted).collect();
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let output = script.env("TERM", "xterm").current_dir(scenario.folder()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n")
}

#[test]
fn no_view_obeys_what_a_file_a_stage_or_an_instruction_is_called() {
    let scenario = scenario();
    let globals = scenario.globals();
    let view = |args: &[&str]| {
        let mut command = scenario.program(&[]);
        command.args(&globals).args(args);
        command
    };
    let context = scenario.context().display().to_string();
    let built = scenario.build(&["--progress=plain"]).ok();
    let of_command = |line: &&str| line.contains("red");
    let ours: Vec<&str> = built.stderr.split('\n').filter(|line| !of_command(line)).collect();
    assert_plain("build", &ours.join("\n"));
    // Into a file or a pipe, a command's bytes go as they are.
    assert!(
        built.stderr.contains("] \x1b[31mred\x1b[0m\x1b[2J\x1b]0;title\x07 10%\r20%\n"),
        "{:?}",
        built.stderr
    );
    assert_eq!(built.record["stages"][0]["name"], "b\u{202e}\u{200b}\x1b[31mc");

    fs::write(scenario.context().join(NAME), "2").unwrap();
    let plan = ["plan", "--pull=never", &context];
    let builds = ["explain", "latest"];
    let same = ["explain", "latest", "latest"];
    for args in [
        &["ls"][..],
        &["ls", "--stages"],
        &["ls", "--stages", "--format={{.stage}} {{.name}}"],
        &plan,
        &builds,
        &same,
        &["prune", "--all", "--dry-run"],
        &["info"],
    ] {
        for shown in [
            String::from_utf8(view(args).output().unwrap().stdout).unwrap(),
            on_terminal(&scenario, view(args).env("NO_COLOR", "1")),
        ] {
            assert!(!shown.is_empty(), "{args:?}");
            assert_plain(&args.join(" "), &shown);
        }
    }
    let planned = String::from_utf8(view(&plan).output().unwrap().stdout).unwrap();
    assert!(
        planned.contains("a\\x1b[2J\\u{202e}\\rb\\nError: forged\\u{9b}2J\\u{200b} modified"),
        "{planned}"
    );
    let json = view(&["plan", "--format=json", "--pull=never", &context]).output().unwrap().stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["stages"][0]["name"], "b\u{202e}\u{200b}\x1b[31mc");
    let exact = view(&["ls", "--stages", "--format={{json .stage}}"]).output().unwrap().stdout;
    assert_eq!(serde_json::from_slice::<String>(&exact).unwrap(), "b\u{202e}\u{200b}\x1b[31mc");
}

#[test]
fn a_terminal_gets_the_colours_of_a_command_and_nothing_else() {
    let scenario = scenario();
    let mut command = scenario.build_command(&["--progress=plain"]);
    command.arg(scenario.context());
    let shown = on_terminal(&scenario, &command);
    assert!(shown.contains(" 20%\n"), "{shown:?}");
    let colours = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
    assert_plain("build on a terminal", &colours.replace_all(&shown, ""));

    scenario.containerfile(
        "FROM docker.io/library/busybox\nRUN printf '\\033[31mred\\033[0m\\033[2J\\n'; sleep 0.5\n",
    );
    let mut command = scenario.build_command(&["--progress=plain"]);
    command.arg(scenario.context());
    let shown = on_terminal(&scenario, &command);
    assert!(shown.contains(" \x1b[31mred\x1b[0m\n"), "{shown:?}");
}

#[test]
fn an_error_does_not_obey_what_it_names() {
    let scenario =
        Scenario::new("FROM docker.io/library/busybox\nCOPY nosuch\x1b[2J\u{202e}\u{9b}\r\u{200b}x /\n");
    for flags in [
        &[][..],
        &["--target=\x1b[2J\u{202e}"],
        &["--build-arg-file=/no\x1b[2J"],
        &["--no\x1b[2Jsuch"],
        &["--tag=a\x1b[2J"],
    ] {
        let built = scenario.build(flags).fails(125);
        assert_plain(&format!("{flags:?}"), &built.stderr);
    }
    // A line of its own is only ours.
    scenario.containerfile("FROM docker.io/library/busybox\nCOPY a* /\n");
    let socket = std::os::unix::net::UnixListener::bind(scenario.context().join(NAME)).unwrap();
    let built = scenario.build(&[]).fails(125);
    assert_plain("a socket", &built.stderr);
    assert!(built.error().contains("a\\x1b[2J\\u{202e}\\rb\\nError: forged"), "{}", built.stderr);
    drop(socket);

    let text = "FROM docker.io/library/busybox\nRUN sleep 0.5; printf '\\033[2J\\n' >&2; exit 3\n";
    scenario.containerfile(text);
    let folder = scenario.context().join("f\x1b[2J");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let built = scenario.build(&[&format!("--iidfile={}/no/id", folder.display())]).fails(125);
    assert_plain("a folder", &built.stderr);
}
