//! What instructions see. The first two tables were also built with buildah 1.28.2, but for the lines that
//! leave nothing in a config; the later engines' rules were read in their sources.

use std::path::Path;

use super::super::{Containerfile, parse};
use super::*;

fn build_args(values: &[(&str, &str)], target: Option<&str>) -> BuildArgs {
    BuildArgs {
        values: values.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        target: Platform::parse(target.unwrap_or("linux/amd64")).unwrap(),
        target_is_explicit: target.is_some(),
        build: Platform::parse("linux/amd64").unwrap(),
    }
}

fn file(source: &str) -> Containerfile {
    parse(source.as_bytes().to_vec(), Path::new("f"), super::super::Dialect::Heredocs).unwrap()
}

/// The words of the last instruction of the first stage, whose base has `PATH` and `BASE`.
fn last_words(rules: Rules, args: BuildArgs, source: &str) -> Result<String, InstructionError> {
    let file = file(source);
    let stages = file.stages().unwrap();
    let stage = &stages.stages[0];
    let env = ["PATH=/bin", "BASE=b"].map(str::to_owned).to_vec();
    let base = StageBase { env, workdir: "/w".to_owned(), ..StageBase::default() };
    let mut scope = Scope::new(rules, args, &stages.heading)?.enter_stage(base)?;
    let (last, before) = stage.body.split_last().unwrap();
    for instruction in before {
        scope.apply(instruction)?;
    }
    let Expanded { words, flags } = scope.expanded(last)?;
    Ok(flags.iter().map(Flag::word).chain(words).collect::<Vec<_>>().join("|"))
}

fn words(source: &str) -> String {
    last_words(Rules::Buildah28, build_args(&[("U", "user")], None), source).unwrap()
}

#[test]
fn values_come_from_env_then_build_arg_then_default_then_heading() {
    for (source, expected) in [
        ("FROM a\nUSER $U", ""),
        ("FROM a\nARG U\nUSER $U", "user"),
        ("FROM a\nARG U=d\nUSER $U", "user"),
        ("FROM a\nARG U=d\nENV U=e\nUSER $U", "e"),
        ("FROM a\nENV U=e\nARG U=d\nUSER $U", "e"),
        ("FROM a\nARG BASE=x\nUSER $BASE", "b"),
        ("FROM a\nARG X=1\nARG X=2\nUSER $X", "2"),
        ("FROM a\nARG X=1\nARG X\nUSER $X", "1"),
        ("ARG X=h\nFROM a\nUSER $X", ""),
        ("ARG X=h\nFROM a\nARG X\nUSER $X", "h"),
        ("ARG X=h\nFROM a\nARG X=d\nUSER $X", "d"),
        ("ARG X=h\nFROM a\nARG X=d\nARG X\nUSER $X", "h"),
        ("ARG U=h\nFROM a\nARG U\nUSER $U", "user"),
        ("ARG A=1\nARG B=${A}2\nFROM a\nARG B\nUSER $B", "12"),
        ("FROM a\nARG A=1 B=$A C=${B:-x}\nUSER $A,$B,$C", "1,,x"),
        ("FROM a\nENV A=1 B=$A\nUSER $A,$B", "1,"),
        ("FROM a\nENV A=1\nENV B=$A\nUSER $A,$B", "1,1"),
        ("FROM a\nARG E=\nUSER [${E:-unset}]", "[unset]"),
        ("FROM a\nENV $BASE=1\nUSER $b", "1"),
    ] {
        assert_eq!(words(source), expected, "{source}");
    }
}

#[test]
fn some_instructions_are_expanded_and_some_are_not() {
    for (source, expected) in [
        ("FROM a\nENV k=$BASE\"$BASE\"'$BASE'", "k|bb$BASE"),
        ("FROM a\nLABEL $BASE $BASE  c", "b|b  c"),
        ("FROM a\nCOPY $BASE \"x\" [$BASE", "b|x|[b"),
        ("FROM a\nCOPY [\"$BASE\", \"'a'\"]", "b|a"),
        ("FROM a\nRUN echo $BASE", "echo $BASE"),
        ("FROM a\nCMD [\"$BASE\"]", "$BASE"),
        ("FROM a\nHEALTHCHECK --interval=$BASE CMD $BASE", "--interval=$BASE|CMD|$BASE"),
        ("FROM a\nONBUILD USER $BASE", "user|$BASE"),
        ("FROM a\nMAINTAINER $BASE", "$BASE"),
        ("FROM a\nENV P='80 90'\nEXPOSE $P \"$P\" 1", "80|90|80 90|1"),
        ("FROM a\nENV P='80 90'\nVOLUME $P", "80 90"),
        ("FROM a\nSTOPSIGNAL $BASE", "b"),
    ] {
        assert_eq!(words(source), expected, "{source}");
    }
}

#[test]
fn flags_see_other_variables_than_words() {
    let source = "FROM a\nARG A=1\nENV E=2\nCOPY --chown=$U:$A:$E --from=$A$E$U x /y";
    assert_eq!(words(source), "--chown=user:1:2|--from=1|x|/y");
    let args = || build_args(&[("U", "user")], None);
    assert_eq!(last_words(Rules::Buildah39, args(), source).unwrap(), "--chown=:1:2|--from=1|x|/y");
    let mount = "FROM a\nARG A=1\nRUN --mount=type=bind,from=$A,target=/$BASE a $A";
    assert_eq!(words(mount), "--mount=type=bind,from=1,target=/b|a $A");
}

#[test]
fn platform_arguments_have_values_once_they_are_declared() {
    let all = "USER $TARGETPLATFORM,$TARGETOS,$TARGETARCH,$TARGETVARIANT,$BUILDPLATFORM,$BUILDARCH";
    let declared = "ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDPLATFORM BUILDARCH";
    for (rules, target, body, expected) in [
        (Rules::Buildah28, None, "", ",,,,,"),
        (Rules::Buildah28, None, declared, "linux/amd64,linux,amd64,,linux/amd64,amd64"),
        (Rules::Buildah28, Some("linux/arm/v6"), declared, "linux/arm/v6,linux,arm,v6,linux/amd64,amd64"),
        (Rules::Buildah28, Some("linux/arm/v6"), "", ",,,,,"),
        (Rules::Buildah28, None, "ARG TARGETPLATFORM=linux/arm/v6", "linux/arm/v6,linux,arm,v6,,"),
        (Rules::Buildah28, None, "ARG TARGETARCH=x", ",,x,,,"),
        (Rules::Buildah39, Some("linux/arm/v6"), declared, "linux/arm/v6,linux,arm,v6,linux/amd64,amd64"),
        (Rules::Buildah39, None, "ARG TARGETARCH=x", ",,amd64,,,"),
    ] {
        let found = last_words(rules, build_args(&[], target), &format!("FROM a\n{body}\n{all}"));
        assert_eq!(found.unwrap(), expected, "{rules:?} {target:?} {body}");
    }
    let error = last_words(Rules::Buildah39, build_args(&[], None), "FROM a\nARG TARGETPLATFORM=x\nUSER a");
    assert_eq!(error.unwrap_err(), InstructionError::Platform("TARGETPLATFORM".to_owned()));
}

#[test]
fn from_sees_the_heading() {
    let file = file("ARG X=h\nARG U\nARG N\nFROM --platform=$U$X$TARGETOS $X:$U$N$BUILDOS AS $X");
    let stages = file.stages().unwrap();
    let expanded = |rules, target| {
        let scope = Scope::new(rules, build_args(&[("U", "u")], target), &stages.heading).unwrap();
        let Expanded { words, flags } = scope.expanded(stages.stages[0].from).unwrap();
        format!("{} {}", flags[0].word(), words.join(" "))
    };
    assert_eq!(expanded(Rules::Buildah28, None), "--platform=u h:u AS $X");
    assert_eq!(expanded(Rules::Buildah28, Some("linux/arm64")), "--platform=ulinux h:u AS $X");
    assert_eq!(expanded(Rules::Buildah39, None), "--platform=uhlinux h:ulinux AS h");
}

#[test]
fn a_stage_inherits_arguments_from_the_stage_it_is_based_on_since_1_43() {
    let file = file("ARG H=h\nFROM a AS one\nARG A=1 B=$H\nFROM one\nUSER $A,$B,$C");
    let stages = file.stages().unwrap();
    for (rules, expected) in [(Rules::Buildah39, ",,"), (Rules::Buildah43, "1,h,")] {
        let heading = Scope::new(rules, build_args(&[], None), &stages.heading).unwrap();
        let declarations = heading.inheritable(&stages.stages[0], &[]).unwrap();
        let scope = heading.enter_stage(StageBase { declarations, ..StageBase::default() }).unwrap();
        assert_eq!(scope.expanded(stages.stages[1].body[0]).unwrap().words, [expected], "{rules:?}");
    }
}

#[test]
fn a_run_sees_what_is_declared_and_has_a_value() {
    let args = build_args(&[("U", "user"), ("X", "1"), ("HTTP_PROXY", "p"), ("all_proxy", "q")], None);
    let file = file("FROM a\nARG X\nARG N\nARG E=\n");
    let stages = file.stages().unwrap();
    let mut scope =
        Scope::new(Rules::Buildah28, args, &[]).unwrap().enter_stage(StageBase::default()).unwrap();
    stages.stages[0].body.iter().for_each(|instruction| scope.apply(instruction).unwrap());
    let shown: Vec<_> = scope.args_in_scope().iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(shown, ["E=", "HTTP_PROXY=p", "X=1"]);
    assert_eq!(scope.declared_without_value().into_iter().collect::<Vec<_>>(), ["N"]);
    assert_eq!(scope.stage_env().entries(), [DEFAULT_PATH]);
}

#[test]
fn a_workdir_is_joined_to_the_one_before() {
    for (rules, source, expected) in [
        (Rules::Buildah28, "FROM a\nWORKDIR x/../y/./z/\nWORKDIR q", "/w/y/z/q"),
        (Rules::Buildah28, "FROM a\nWORKDIR /x/../y/", "/x/../y/"),
        (Rules::Buildah39, "FROM a\nWORKDIR /x/../y/", "/x/../y"),
        (Rules::Buildah39, "FROM a\nWORKDIR /", "/"),
        (Rules::Buildah28, "FROM a\nWORKDIR ../../..", "/"),
        (Rules::Buildah28, "FROM a\nWORKDIR $BASE a", "/w/b a"),
    ] {
        let file = file(source);
        let stages = file.stages().unwrap();
        let base =
            StageBase { env: vec!["BASE=b".to_owned()], workdir: "/w".to_owned(), ..StageBase::default() };
        let mut scope = Scope::new(rules, build_args(&[], None), &[]).unwrap().enter_stage(base).unwrap();
        stages.stages[0].body.iter().for_each(|instruction| scope.apply(instruction).unwrap());
        assert_eq!(scope.workdir(), expected, "{source}");
    }
}

#[test]
fn a_stage_sees_nothing_of_the_stage_before_it() {
    let file = file("ARG H=h\nFROM a\nARG A=1\nENV E=1\nUSER u\nWORKDIR /w\nSHELL [\"/s\"]\n");
    let stages = file.stages().unwrap();
    let heading = Scope::new(Rules::Buildah28, build_args(&[], None), &stages.heading).unwrap();
    let first = heading.enter_stage(StageBase::default()).unwrap();
    let mut scope = first.clone();
    stages.stages[0].body.iter().for_each(|instruction| scope.apply(instruction).unwrap());
    assert_eq!((scope.user(), scope.shell()), ("u", &["/s".to_owned()][..]));
    assert_eq!(scope.heading(), &BTreeMap::from([("H".to_owned(), "h".to_owned())]));
    assert_ne!(format!("{scope:?}"), format!("{first:?}"));
    assert_eq!((scope.env().get("E"), first.env().get("E")), (Some("1"), None));
    assert!(scope.is_declared("A") && !scope.is_declared("B") && !first.is_declared("A"));
    let next = scope.enter_stage(StageBase::default()).unwrap();
    assert_eq!(format!("{next:?}"), format!("{first:?}"));
    let base = StageBase {
        env: vec!["B=b".to_owned()],
        workdir: "/b".to_owned(),
        user: "b".to_owned(),
        shell: vec!["/b".to_owned()],
        ..StageBase::default()
    };
    let on_base = format!("{:?}", scope.enter_stage(base.clone()).unwrap());
    assert_eq!(on_base, format!("{:?}", heading.enter_stage(base).unwrap()));
    assert!(on_base.contains("user: \"b\"") && on_base.contains("shell: [\"/b\"]"), "{on_base}");
}

#[test]
fn the_text_of_a_heredoc_is_expanded_unless_its_name_is_quoted() {
    let file = file("FROM a\nARG A=1\nCOPY <<E <<'F' /x/\n$A $B\nE\n$A\nF\n");
    let stages = file.stages().unwrap();
    let scope = Scope::new(Rules::Buildah39, build_args(&[], None), &stages.heading).unwrap();
    let mut scope = scope.enter_stage(StageBase::default()).unwrap();
    let [argument, copy] = stages.stages[0].body[..] else { panic!("two instructions") };
    scope.apply(argument).unwrap();
    let texts: Vec<_> = copy.heredocs.iter().map(|heredoc| scope.heredoc(heredoc).unwrap()).collect();
    assert_eq!(texts, [b"1 \n".to_vec(), b"$A\n".to_vec()]);
}

#[test]
fn variables_have_a_measure_together() {
    let arguments: String = (0..5).map(|n| format!("ARG A{n}=$A\n")).collect();
    let source = format!("FROM a\nARG A={}\n{arguments}LABEL x=$A0\n", "x".repeat(3 << 20));
    let error = last_words(Rules::Buildah43, build_args(&[], None), &source).unwrap_err();
    assert_eq!(error, InstructionError::TooMuch);
    let fewer = source.replace("ARG A4=$A\n", "");
    assert!(last_words(Rules::Buildah43, build_args(&[], None), &fewer).is_ok());
}
