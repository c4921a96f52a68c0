//! Values as the engines read them.

use super::*;
use crate::flags::parse_build;
use proptest::prelude::*;

fn flags(args: &[&str]) -> BuildFlags {
    parse_build(&args.iter().map(OsString::from).collect::<Vec<_>>(), &|_| None).unwrap()
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn args_of(command: &[&str], engine: EngineKind, file: &str) -> Result<String, UsageError> {
    let environment = environment(&[("D", "fromenv"), ("PFX_X", "pfx"), ("PFX_Y", "pfy")]);
    let read = |path: &Path| match path.to_str() {
        Some("args") => Ok(file.as_bytes().to_vec()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let args = build_args(&flags(command), engine, &environment, &read)?;
    let shown = args.iter().map(|(name, value)| format!("{name}={value:?}"));
    Ok(shown.collect::<Vec<_>>().join(" "))
}

#[test]
fn a_build_argument_without_a_value_comes_from_the_environment() {
    let engine = EngineKind::Buildah;
    let args = |command: &[&str]| args_of(command, engine, "").unwrap();
    assert_eq!(args(&["--build-arg=A=1", "--build-arg=A=2"]), r#"A="2""#);
    assert_eq!(args(&["--build-arg", "D", "--build-arg=E=x=y"]), r#"D="fromenv" E="x=y""#);
    assert_eq!(args(&["--build-arg=A=1", "--build-arg=A"]), "", "a variable that is not there");
    assert_eq!(args(&["--build-arg=A="]), r#"A="""#);
}

// The results are those of buildah 1.43 and podman 5.8.
#[test]
fn each_engine_has_its_own_format_of_argument_files() {
    let file = "# c\n  # c2\nA=1\n  B=2 \nC=\"q\"\nD\nPFX_*\n\nE=a=b\r\n";
    let command = ["--build-arg-file=args"];
    assert_eq!(
        args_of(&command, EngineKind::Podman, file).unwrap(),
        r#"A="1" B="2 " C="\"q\"" D="fromenv" E="a=b" PFX_X="pfx" PFX_Y="pfy""#
    );
    assert_eq!(
        args_of(&command, EngineKind::Buildah, file).unwrap(),
        r#"  B="2 " A="1" C="\"q\"" D="fromenv" E="a=b\r""#
    );
    let command = ["--build-arg=A=flag", "--build-arg-file=args", "--build-arg=Z=1"];
    assert_eq!(args_of(&command, EngineKind::Podman, "A=file\nY=1").unwrap(), r#"A="flag" Y="1" Z="1""#);
}

#[test]
fn an_argument_file_that_cannot_be_used_is_named() {
    let fault =
        |command: &[&str], file: &str| args_of(command, EngineKind::Podman, file).unwrap_err().message;
    let command = ["--build-arg-file=args"];
    assert_eq!(fault(&command, "=bad"), "parsing file \"args\": invalid variable: \"=bad\"");
    assert_eq!(
        fault(&command, "export G=1"),
        "parsing file \"args\": name \"export G\" has white spaces, poorly formatted name"
    );
    assert!(fault(&["--build-arg-file=gone"], "").starts_with("parsing file \"gone\": "));
}

#[test]
fn contexts_are_images_urls_or_folders() {
    let contexts = build_contexts(&flags(&[
        "--build-context=a=container-image://alpine:3",
        "--build-context=b=docker-image://busybox",
        "--build-context=c=https://example.com/x.tar.gz",
        "--build-context=d=../dir=x",
        "--build-context=e=docker://quay.io/x/y",
    ]));
    let expected = [
        ("a", BuildContext::Image("alpine:3".to_owned())),
        ("b", BuildContext::Image("busybox".to_owned())),
        ("c", BuildContext::Url("https://example.com/x.tar.gz".to_owned())),
        ("d", BuildContext::Dir("../dir=x".into())),
        ("e", BuildContext::Image("quay.io/x/y".to_owned())),
    ];
    assert_eq!(contexts.unwrap(), expected.map(|(name, context)| (name.to_owned(), context)).into());
    for text in ["foo", "=x"] {
        let error = build_contexts(&flags(&["--build-context", text])).unwrap_err();
        let expected = format!(
            "while parsing additional build context: [\"{text}\"], accepts value in the form of key=value"
        );
        assert_eq!(error.message, expected);
    }
}

#[test]
fn secrets_come_from_files_or_the_environment() {
    let environment = environment(&[("TOKEN", "x")]);
    let cases = [
        ("id=a,src=/f", "a", SecretSource::File("/f".into())),
        ("id=a", "a", SecretSource::File("a".into())),
        ("id=TOKEN", "TOKEN", SecretSource::Env("TOKEN".into())),
        ("id=TOKEN,type=file", "TOKEN", SecretSource::File("TOKEN".into())),
        ("id=a,env=TOKEN", "a", SecretSource::Env("TOKEN".into())),
        ("type=env,id=a,src=TOKEN", "a", SecretSource::Env("TOKEN".into())),
        ("id=a,src=x=y", "a", SecretSource::File("x=y".into())),
    ];
    for (text, id, source) in cases {
        let secrets = secrets(&flags(&["--secret", text]), &environment).unwrap();
        assert_eq!(secrets, [(id.to_owned(), source)].into(), "{text}");
    }
    let fault = |text| secrets(&flags(&["--secret", text]), &environment).unwrap_err().message;
    let format = "incorrect secret flag format: should be --secret id=foo,src=bar[,env=ENV,type=file|env]";
    for text in ["foo", "src=a", "id=", "id=a,source=b", "", "id=a,"] {
        assert_eq!(fault(text), format, "{text}");
    }
    assert_eq!(fault("id=a,type=wat"), "invalid secret type, must be file or env");
}

#[test]
fn ssh_ids_are_sorted_and_stand_once() {
    let flags = flags(&["--ssh", "default", "--ssh=b=/key", "--ssh=a=/k1,/k2", "--ssh=b"]);
    assert_eq!(ssh_ids(&flags), ["a", "b", "default"]);
}

#[test]
fn outputs_are_folders_tar_files_or_stdout() {
    let cases = [
        ("out", Output::Dir("out".into())),
        ("-", Output::Stdout),
        ("type=local", Output::Dir("type=local".into())),
        ("type=local,dest=d", Output::Dir("d".into())),
        ("dest=f,type=tar", Output::Tar("f".into())),
        ("type=tar,dest=-", Output::Stdout),
    ];
    for (text, expected) in cases {
        assert_eq!(outputs(&flags(&["-o", text])), Ok(vec![expected]), "{text}");
    }
    let refused = [
        ("type=oci,dest=x", "invalid type \"oci\" selected for build output options \"type=oci,dest=x\""),
        ("type=local,dest=o,type=local", "duplicate \"type\" not supported"),
        ("a=b,c=d", "unrecognized key \"a\" in build output option: \"a=b,c=d\""),
        ("x,y", "invalid build output options \"x,y\", expected format key=value"),
        (
            "type=local,dest=-",
            "invalid build output option \"type=local,dest=-\", \"type=local\" can not be used with \"dest=-\"",
        ),
        (
            "type=tar,dest=",
            "invalid build output option \"type=tar,dest=\", accepted keys are \"type\" and \"dest\" must be present",
        ),
        ("", "invalid build output option \"\""),
    ];
    for (text, expected) in refused {
        assert_eq!(outputs(&flags(&["-o", text])).unwrap_err().message, expected, "{text}");
    }
}

#[test]
fn the_cache_s_age_is_a_duration_of_go() {
    assert_eq!(cache_ttl(&flags(&[])), Ok(None));
    assert_eq!(cache_ttl(&flags(&["--cache-ttl=1h30m"])), Ok(Some(Duration::from_secs(5400))));
    assert_eq!(cache_ttl(&flags(&["--cache-ttl=0"])), Ok(Some(Duration::ZERO)));
    assert_eq!(
        cache_ttl(&flags(&["--cache-ttl=abc"])).unwrap_err().message,
        "unable to parse value provided \"abc\" as --cache-ttl: time: invalid duration \"abc\""
    );
    assert_eq!(
        cache_ttl(&flags(&["--cache-ttl=0s", "--no-cache=false"])).unwrap_err().message,
        "cannot use --cache-ttl with duration as 0 and --no-cache=false"
    );
}

#[test]
fn the_image_s_time_comes_from_the_first_that_sets_one() {
    let environment = environment(&[("SOURCE_DATE_EPOCH", "7")]);
    let of = |args: &[&str], minor| timestamp(&flags(args), &environment, Version::new(1, minor)).unwrap();
    assert_eq!(of(&["--timestamp=5"], 41), Some(5));
    assert_eq!(of(&["--source-date-epoch=6"], 41), Some(6));
    assert_eq!(of(&[], 41), Some(7));
    assert_eq!(of(&[], 40), None);
    let error = timestamp(&flags(&["--source-date-epoch=x"]), &environment, Version::new(1, 43));
    assert_eq!(error.unwrap_err().message, "error parsing source-date-epoch offset \"x\"");
    let both = flags(&["--timestamp=5", "--source-date-epoch=6"]);
    let error = timestamp(&both, &environment, Version::new(1, 43)).unwrap_err();
    assert_eq!(error.message, "timestamp and source-date-epoch would be ambiguous if allowed together");
    assert_eq!(number(&flags(&["--jobs=0x10"]), "jobs"), Some(16));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_breaks_a_reader(text in ".{0,24}") {
        let read = |_: &Path| Ok(text.as_bytes().to_vec());
        let command = flags(&[
            "--build-arg", &text, "--build-arg-file=f", "--build-context", &text, "--secret", &text,
            "--ssh", &text, "-o", &text, "--cache-ttl", &text, "--source-date-epoch", &text,
        ]);
        let none = Environment::new();
        for engine in [EngineKind::Buildah, EngineKind::Podman] {
            let _ = build_args(&command, engine, &none, &read);
        }
        let _ = (build_contexts(&command), secrets(&command, &none), ssh_ids(&command), outputs(&command));
        let _ = (cache_ttl(&command), timestamp(&command, &none, Version::new(1, 44)));
        let _ = text.parse::<crate::flags::Platform>();
    }
}
