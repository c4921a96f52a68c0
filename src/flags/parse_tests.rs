//! Command lines as the engines read them.

use proptest::prelude::*;

use super::*;
use crate::flags::Role;

fn parse(args: &[&str]) -> Result<BuildFlags, UsageError> {
    parse_os(&args.iter().map(OsString::from).collect::<Vec<_>>())
}

fn parse_os(args: &[OsString]) -> Result<BuildFlags, UsageError> {
    parse_build(args, &|name| match name {
        "newer-switch" => Some(UnknownKind::Bool),
        "newer-value" => Some(UnknownKind::Value),
        "newer-optional" => Some(UnknownKind::OptionalValue),
        _ => None,
    })
}

fn all_args(flags: &BuildFlags) -> Vec<String> {
    let args = flags.to_args(&[Role::Key, Role::Pass, Role::Final, Role::Ours]);
    args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect()
}

fn fault(args: &[&str]) -> String {
    parse(args).unwrap_err().message
}

#[test]
fn every_way_to_write_a_value_is_the_same() {
    for args in [
        &["-t", "x"][..],
        &["-tx"],
        &["-t=x"],
        &["--tag", "x"],
        &["--tag=x"],
        &["-qt", "x", "-q=false"],
        &["-qtx", "-q=0"],
        &["-qt=x", "--quiet=F"],
    ] {
        let flags = parse(args).unwrap();
        assert_eq!(flags.value("tag"), Some(OsStr::new("x")), "{args:?}");
        assert_ne!(flags.bool("quiet"), Some(true), "{args:?}");
    }
}

#[test]
fn a_value_may_look_like_a_flag() {
    assert_eq!(
        all_args(&parse(&["--label", "--layers", "-f", "-"]).unwrap()),
        ["--label=--layers", "--file=-"]
    );
    assert_eq!(all_args(&parse(&["--tag", "--"]).unwrap()), ["--tag=--"]);
    assert_eq!(all_args(&parse(&["--build-arg", "A=b=c"]).unwrap()), ["--build-arg=A=b=c"]);
    // pflag: `-t=` is the value `=`, `--tag=` an empty one.
    assert_eq!(all_args(&parse(&["-t=", "--tag="]).unwrap()), ["--tag==", "--tag="]);
}

#[test]
fn the_context_stands_anywhere() {
    for args in [
        &[".", "--no-cache", "-t", "x"][..],
        &["--no-cache", ".", "-t", "x"],
        &["--no-cache", "-t", "x", "."],
        &["--no-cache", "-t", "x", "--", "."],
    ] {
        let flags = parse(args).unwrap();
        assert_eq!(flags.context.as_deref(), Some(OsStr::new(".")), "{args:?}");
        assert_eq!(all_args(&flags), ["--no-cache=true", "--tag=x"], "{args:?}");
    }
    assert_eq!(parse(&["-"]).unwrap().context.as_deref(), Some(OsStr::new("-")));
    assert_eq!(parse(&["--", "-q"]).unwrap().context.as_deref(), Some(OsStr::new("-q")));
    assert_eq!(parse(&["--layers"]).unwrap().context, None);
}

#[test]
fn a_switch_takes_a_value_behind_an_equals_sign_only() {
    let flags = parse(&["--layers=False", "--rm", "--no-cache", "--no-cache=0"]).unwrap();
    assert_eq!(flags.bool("layers"), Some(false));
    assert_eq!(flags.bool("rm"), Some(true));
    assert_eq!(flags.bool("no-cache"), Some(false));
    assert_eq!(flags.bool("squash"), None);
    assert_eq!(
        fault(&["--layers=maybe", "."]),
        "invalid argument \"maybe\" for \"--layers\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax"
    );
    assert_eq!(
        fault(&["-q=x"]),
        "invalid argument \"x\" for \"-q, --quiet\" flag: strconv.ParseBool: parsing \"x\": invalid syntax"
    );
    let error = parse(&["--layers", "false", "."]).unwrap_err();
    assert_eq!(error.message, "accepts at most 1 arg(s), received 2");
    assert_eq!(error.way_out.unwrap(), "a value of --layers stands behind `=`: --layers=false");
}

#[test]
fn an_optional_value_stands_behind_an_equals_sign_only() {
    assert_eq!(parse(&["--pull", "."]).unwrap().optional("pull"), Some(None));
    assert_eq!(parse(&["--pull=never"]).unwrap().optional("pull"), Some(Some(OsStr::new("never"))));
    assert_eq!(parse(&["--pull="]).unwrap().optional("pull"), Some(Some(OsStr::new(""))));
    assert_eq!(parse(&["."]).unwrap().optional("pull"), None);
    let error = parse(&["--pull", "missing", "."]).unwrap_err();
    assert_eq!(error.way_out.unwrap(), "a value of --pull stands behind `=`: --pull=missing");
}

#[test]
fn the_last_value_counts_and_repeatable_flags_add_up() {
    let flags =
        parse(&["--network=a", "--network=b", "-t", "a,b", "-t", "c", "--dns=1,2", "--dns", "3"]).unwrap();
    assert_eq!(flags.value("network"), Some(OsStr::new("b")));
    assert_eq!(flags.values("tag").collect::<Vec<_>>(), ["a,b", "c"]);
    assert_eq!(flags.values("dns").collect::<Vec<_>>(), ["1", "2", "3"]);
    let keyed = flags.keyed();
    assert_eq!(keyed.len(), 2);
    assert_eq!(keyed["network"], ["b"]);
    assert_eq!(keyed["dns"], ["1", "2", "3"]);
}

#[test]
fn aliases_and_short_forms_become_the_canonical_name() {
    let args = [
        "--net=host",
        "--override-arch",
        "arm64",
        "--override-os=linux",
        "--purge",
        "-v",
        "/a:/a",
        "-c5",
        "-D",
        "-m=1g",
    ];
    assert_eq!(
        all_args(&parse(&args).unwrap()),
        [
            "--network=host",
            "--arch=arm64",
            "--os=linux",
            "--rm=true",
            "--volume=/a:/a",
            "--cpu-shares=5",
            "--disable-compression=true",
            "--memory=1g",
        ]
    );
}

#[test]
fn the_engine_s_own_flags_are_apart_wherever_they_stand() {
    let before: Vec<OsString> =
        ["--root", "/r", "-c", "conn", "--log-level=debug", "--engine", "podman", "build", "-c", "5"]
            .map(OsString::from)
            .into();
    let leading = parse_leading(&before).unwrap();
    assert_eq!(leading.length, 7);
    let flags = parse_os(&before[leading.length + 1..]).unwrap();
    let behind = parse(&["--storage-driver", "vfs", "--storage-opt=a", "--runtime=crun", "."]).unwrap();
    assert_eq!(
        flags.after(leading.clone()).globals(),
        ["--root=/r", "--connection=conn", "--log-level=debug"]
    );
    assert_eq!(behind.globals(), ["--storage-driver=vfs", "--storage-opt=a"]);
    assert_eq!(behind.global("storage-driver"), Some(OsStr::new("vfs")));
    assert_eq!(all_args(&behind), ["--runtime=crun"]);
    let all = behind.after(leading);
    assert_eq!(all.value("engine"), Some(OsStr::new("podman")));
    assert_eq!(all.keyed().into_keys().collect::<Vec<_>>(), ["runtime", "storage-opt"]);
}

#[test]
fn help_and_version_are_switches_and_not_handed_on() {
    for args in [&["--help"][..], &["-h", "build"], &["--version"], &["-v"]] {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let leading = parse_leading(&args).unwrap();
        assert!(leading.has("help") || leading.has("version"), "{args:?}");
        assert!(BuildFlags::default().after(leading).globals().is_empty());
    }
    assert_eq!(parse(&["-qh"]).unwrap().bool("help"), Some(true));
    assert_eq!(parse(&["--help=false"]).unwrap().bool("help"), Some(false));
}

#[test]
fn a_flag_of_build_before_build_is_refused_with_its_place() {
    let error = parse_leading(&["--no-cache".into(), "build".into()]).unwrap_err();
    assert_eq!(error.message, "unknown flag: --no-cache");
    assert_eq!(error.way_out.unwrap(), "--no-cache stands behind the command: build --no-cache");
}

#[test]
fn the_installed_engine_is_asked_about_a_name_that_the_table_lacks() {
    let args = ["--newer-switch", "--newer-value", "x", "--newer-optional", "--newer-optional=y", "."];
    let flags = parse(&args).unwrap();
    assert_eq!(
        all_args(&flags),
        ["--newer-switch=true", "--newer-value=x", "--newer-optional", "--newer-optional=y"]
    );
    assert_eq!(flags.iter_role(Role::Key).count(), 4, "what nobody knows is in the key");
    assert_eq!(flags.keyed()["newer-optional"], ["y"]);
}

#[test]
fn faults_are_told_in_the_engines_words() {
    let cases: &[(&[&str], &str)] = &[
        (&["--nope", "."], "unknown flag: --nope"),
        (&["--nope=x"], "unknown flag: --nope"),
        (&["-Z", "."], "unknown shorthand flag: 'Z' in -Z"),
        (&["-qZ", "."], "unknown shorthand flag: 'Z' in -Z"),
        (&["-Zq", "."], "unknown shorthand flag: 'Z' in -Zq"),
        (&["-q="], "unknown shorthand flag: '=' in -="),
        (&["-r"], "unknown shorthand flag: 'r' in -r"),
        (&["--tag"], "flag needs an argument: --tag"),
        (&["-t"], "flag needs an argument: 't' in -t"),
        (&["-qt"], "flag needs an argument: 't' in -t"),
        (&["--=x"], "bad flag syntax: --=x"),
        (&["---x"], "bad flag syntax: ---x"),
        (&[".", "extra"], "accepts at most 1 arg(s), received 2"),
        (&["--", ".", "-q"], "accepts at most 1 arg(s), received 2"),
        (
            &["--jobs=x"],
            "invalid argument \"x\" for \"--jobs\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
        (
            &["-c=-1"],
            "invalid argument \"-1\" for \"-c, --cpu-shares\" flag: strconv.ParseUint: parsing \"-1\": invalid syntax",
        ),
        (
            &["--add-host=a\"b"],
            "invalid argument \"a\\\"b\" for \"--add-host\" flag: parse error on line 1, column 2: bare \" in non-quoted-field",
        ),
    ];
    for (args, expected) in cases {
        assert_eq!(fault(args), *expected, "{args:?}");
    }
}

#[test]
fn a_flag_that_nobody_knows_comes_with_the_nearest_spelling() {
    let cases = [
        ("--no-cahe", "did you mean --no-cache?"),
        ("--stage-label", "did you mean --stage-labels?"),
        ("--stroage-driver=x", "did you mean --storage-driver?"),
        ("--buildarg=x", "did you mean --build-arg?"),
        ("-layers", "a long name has two dashes: --layers"),
        ("-r", "-r stands before the command"),
        ("--zzzzzzzz", "neither we nor the installed engine have it: see build --help"),
    ];
    for (arg, expected) in cases {
        assert_eq!(parse(&[arg]).unwrap_err().way_out.unwrap(), expected, "{arg}");
    }
}

#[test]
fn bytes_that_are_no_text_survive() {
    let label = OsStr::from_bytes(b"--label=a=\xff").to_owned();
    let tag = OsStr::from_bytes(b"\xfe").to_owned();
    let flags = parse_os(&[label.clone(), "-t".into(), tag.clone(), tag.clone()]).unwrap();
    let mut named = OsString::from("--tag=");
    named.push(&tag);
    assert_eq!(flags.to_args(&[Role::Final]), [label, named]);
    assert_eq!(flags.context, Some(tag));
    assert!(parse_os(&[OsStr::from_bytes(b"--\xff=x").to_owned()]).is_err());
    assert!(parse_os(&[OsStr::from_bytes(b"-\xff").to_owned()]).is_err());
}

#[test]
fn roles_part_the_flags_and_keep_their_order() {
    let flags =
        parse(&["--tls-verify=false", "--env=A", "-t", "x", "--env=B", "--target=y", "--creds=u:p"]).unwrap();
    let of = |roles: &[Role]| flags.to_args(roles);
    assert_eq!(of(&[Role::Key]), ["--env=A", "--env=B"]);
    assert_eq!(of(&[Role::Key, Role::Pass]), ["--tls-verify=false", "--env=A", "--env=B", "--creds=u:p"]);
    assert_eq!(of(&[Role::Final]), ["--tag=x"]);
    assert_eq!(of(&[Role::Ours]), ["--target=y"]);
}

fn word() -> impl Strategy<Value = OsString> {
    let names = || {
        let rows = table::FLAGS.iter().chain(table::GLOBALS);
        let names = rows.flat_map(|spec| spec.aliases.iter().chain([&spec.name]).copied());
        proptest::sample::select(names.collect::<Vec<_>>())
    };
    let values = || "[a-z0-9=,\"./: -]{0,8}|true|false|7";
    prop_oneof![
        names().prop_map(|name| format!("--{name}").into()),
        (names(), values()).prop_map(|(name, value)| format!("--{name}={value}").into()),
        ("-[a-zA-Z=]{1,4}").prop_map(OsString::from),
        values().prop_map(OsString::from),
        proptest::collection::vec(any::<u8>(), 0..12).prop_map(OsString::from_vec),
        Just(OsString::from("--newer-value")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_command_line_breaks_the_parser(args in proptest::collection::vec(word(), 0..10)) {
        let _ = parse_os(&args);
        let _ = parse_leading(&args);
    }

    #[test]
    fn what_is_written_again_reads_the_same(args in proptest::collection::vec(word(), 0..6)) {
        if let Ok(flags) = parse_os(&args) {
            let mut again: Vec<OsString> = flags.global_uses().map(Given::to_arg).collect();
            again.extend(flags.to_args(&[Role::Key, Role::Pass, Role::Final, Role::Ours]));
            if let Some(context) = &flags.context {
                again.extend(["--".into(), context.clone()]);
            }
            prop_assert_eq!(parse_os(&again), Ok(flags));
        }
    }

    #[test]
    fn quoting_a_list_as_csv_gives_the_list(list in proptest::collection::vec("[a-z,\" ]{0,5}", 1..4)) {
        let quoted: Vec<String> = list.iter().map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
        let flags = parse(&["--dns", &quoted.join(",")]).unwrap();
        prop_assert_eq!(flags.values("dns").collect::<Vec<_>>(), list.iter().map(OsStr::new).collect::<Vec<_>>());
    }
}
