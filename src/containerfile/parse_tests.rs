//! What a Containerfile is read as.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn file(source: &str, dialect: Dialect) -> Containerfile {
    parse(source.as_bytes().to_vec(), Path::new("Containerfile"), dialect).unwrap()
}

fn error(source: &str, dialect: Dialect) -> String {
    parse(source.as_bytes().to_vec(), Path::new("f"), dialect).unwrap_err().to_string()
}

fn only(source: &str) -> Instruction {
    let file = file(source, Dialect::Heredocs);
    let mut instructions = file.instructions();
    let first = instructions.next().unwrap().clone();
    assert!(instructions.next().is_none(), "{source:?} is more than one instruction");
    first
}

#[test]
fn instructions_are_cut_into_the_words_of_the_engines() {
    for (line, expected) in [
        ("RUN a  b", vec!["a  b"]),
        ("run", vec![]),
        ("RUN [\"a\", \"b c\"]", vec!["a", "b c"]),
        ("RUN ['a']", vec!["['a']"]),
        ("CMD []", vec![]),
        ("CMD --help", vec![]),
        ("COPY --from=x a \"b c\" d", vec!["a", "\"b", "c\"", "d"]),
        ("COPY [\"a b\", \"c\"]", vec!["a b", "c"]),
        ("VOLUME /a /b", vec!["/a", "/b"]),
        ("EXPOSE 80\t443", vec!["80", "443"]),
        ("FROM a AS b", vec!["a", "AS", "b"]),
        ("ARG a=\"1 2\" b", vec!["a=\"1 2\"", "b"]),
        ("ENV a=1 b='2 3'", vec!["a", "1", "b", "'2 3'"]),
        ("LABEL a b c", vec!["a", "b c"]),
        ("WORKDIR /a b ", vec!["/a b"]),
        ("HEALTHCHECK --interval=1s CMD  a b", vec!["CMD", "a b"]),
        ("HEALTHCHECK CMD [\"a\", \"b\"]", vec!["CMD", "a", "b"]),
        ("HEALTHCHECK NONE", vec!["NONE"]),
        ("ONBUILD COPY --from=a b c", vec!["copy", "b", "c"]),
        ("ONBUILD", vec![]),
        ("ONBUILD ONBUILD RUN a", vec!["onbuild"]),
        ("FOO bar", vec![]),
    ] {
        assert_eq!(only(line).words(), expected, "{line}");
    }
}

#[test]
fn every_instruction_of_the_engines_is_known() {
    for line in [
        "ADD a b",
        "ARG a",
        "CMD a",
        "COPY a b",
        "ENTRYPOINT a",
        "ENV a=b",
        "EXPOSE 80",
        "FROM a",
        "HEALTHCHECK NONE",
        "LABEL a=b",
        "MAINTAINER a",
        "ONBUILD RUN a",
        "RUN a",
        "SHELL [\"a\"]",
        "STOPSIGNAL 9",
        "USER a",
        "VOLUME /a",
        "WORKDIR /a",
    ] {
        let keyword = only(&line.to_lowercase()).keyword;
        assert!(!matches!(keyword, Keyword::Unknown(_)), "{line}");
        assert!(line.starts_with(keyword.as_str()), "{line}: {keyword}");
    }
}

#[test]
fn flags_are_kept_as_they_stand_on_the_line() {
    for (line, expected) in [
        ("COPY --from=a  --chown=b c d", "--from=a  --chown=b"),
        ("  run --network=none \\\n x", "--network=none"),
        ("RUN x --y", ""),
        ("RUN", ""),
    ] {
        assert_eq!(String::from_utf8_lossy(only(line).flags_written()), expected, "{line}");
    }
}

#[test]
fn a_heredoc_alone_on_its_line_is_told_from_one_beside_words() {
    assert!(only("RUN <<EOF\na\nEOF\n").is_one_heredoc());
    assert!(!only("RUN cat <<EOF\na\nEOF\n").is_one_heredoc());
    assert!(!only("RUN a\n").is_one_heredoc());
}

#[test]
fn the_text_of_a_heredoc_loses_tabs_where_asked_and_carriage_returns() {
    let text = |source: &str| String::from_utf8(only(source).heredocs[0].text()).unwrap();
    assert_eq!(text("RUN <<-EOF\n\t\ta\tb\r\n c\r\n\r\n\tEOF\n"), "a\tb\n c\n\n");
    assert_eq!(text("RUN <<EOF\n\ta\nb\r\r\nEOF\n"), "\ta\nb\n");
}

#[test]
fn a_trigger_is_an_instruction_of_its_own() {
    let trigger = only("  onbuild   copy --chown=a b \\\n c\n").trigger().unwrap();
    assert_eq!(trigger.keyword, Keyword::Copy);
    assert_eq!(trigger.original, b"copy --chown=a b  c");
    assert_eq!(trigger.flag("chown").and_then(|flag| flag.value.as_deref()), Some("a"));
    assert_eq!((trigger.line, trigger.end_line), (1, 2));
}

#[test]
fn a_bare_or_unknown_instruction_is_read() {
    assert_eq!(only("RUN\n").rest, "");
    assert_eq!(only("foo bar\n").keyword, Keyword::Unknown("FOO".to_owned()));
    assert_eq!(only("\\\n").keyword, Keyword::Unknown(String::new()));
}

#[test]
fn the_line_of_the_history_keeps_its_case_and_its_blanks() {
    let run = only("  Run  a \\\n # c\n   b  \n");
    assert_eq!(run.original, b"Run  a    b  ");
    assert_eq!(run.original_text(), "Run  a    b  ");
}

#[test]
fn heredocs_belong_to_their_instruction() {
    let source = "FROM a\nRUN <<EOF cat <<-'B'\n# x\n\nEOF\n\ty\n\tB\nCMD b\n";
    let file = file(source, Dialect::Heredocs);
    let run = file.instructions().nth(1).unwrap();
    assert_eq!((run.line, run.end_line), (2, 7));
    assert_eq!(file.text(run.span), b"RUN <<EOF cat <<-'B'\n# x\n\nEOF\n\ty\n\tB\n");
    let heredoc = |name: &str, expand, chomp, body: &str| Heredoc {
        name: name.to_owned(),
        expand,
        chomp,
        body: body.as_bytes().to_vec(),
    };
    assert_eq!(run.heredocs, [heredoc("EOF", true, false, "# x\n\n"), heredoc("B", false, true, "\ty\n")]);
    assert_eq!(file.instructions().count(), 3);
}

#[test]
fn heredocs_are_lines_like_others_to_an_old_engine() {
    assert_eq!(file("RUN <<EOF\na\nEOF\n", Dialect::BeforeHeredocs).instructions().count(), 3);
}

#[test]
fn an_old_engine_is_read_heredocs_for_where_it_would_stumble_over_them() {
    let heredocs = |source: &str, rules| {
        let file = read(source.as_bytes().to_vec(), Path::new("f"), rules).map_err(|error| error.problem)?;
        Ok::<_, String>(file.instructions().map(|instruction| instruction.heredocs.len()).sum::<usize>())
    };
    for (source, expected) in [
        ("FROM a\nRUN <<EOF\na\nEOF\n", 1),
        // Not even a line for it.
        ("FROM a\nCOPY <<EOF /x\nENV nothing\nEOF\n", 1),
        ("FROM a\nRUN <<EOF\na\nEOF\nRUN <<RUN\nENV a=b\nRUN\n", 2),
        // It makes sense of all the lines, so it is left to it.
        ("FROM a\nRUN cat <<RUN\nENV a=b\nRUN\n", 0),
        // What it stumbles over is no part of a heredoc.
        ("FROM a\nRUN cat <<RUN\nENV a=b\nRUN\nFOO b\n", 0),
        ("FROM a\nFOO b\nRUN cat <<RUN\nENV a=b\nRUN\n", 0),
        ("FROM a\nRUN b\nFOO <<\n", 0),
        // The engines before 1.33 carry out a trigger without its heredoc, and there is none to read.
        ("FROM a\nONBUILD RUN <<EOF\nb\nEOF\n", 0),
    ] {
        assert_eq!(heredocs(source, Rules::Buildah28), Ok(expected), "{source:?}");
    }
    assert_eq!(heredocs("FROM a\nRUN cat <<RUN\nENV a=b\nRUN\n", Rules::Buildah39), Ok(1));
    assert_eq!(heredocs("FROM a\nRUN b\n", Rules::Buildah28), Ok(0));
    assert!(heredocs("FROM a\nRUN <<EOF\na\n", Rules::Buildah39).is_err());
}

#[test]
fn later_engines_refuse_what_stands_before_the_first_from() {
    let read = |source: &str, rules| read(source.as_bytes().to_vec(), Path::new("f"), rules);
    let error = read("ARG a\nLABEL a=b\nFROM a\n", Rules::Buildah43).unwrap_err();
    assert_eq!((error.line, error.column), (2, 1));
    assert!(read("# a\nARG a\nFROM a\nRUN b\n", Rules::Buildah43).is_ok());
    assert!(read("LABEL a=b\nFROM a\n", Rules::Buildah39).is_ok());
    assert!(read("LABEL a=b\n", Rules::Buildah43).is_ok());
}

#[test]
fn a_chain_of_triggers_is_not_followed() {
    assert!(parse(b"ONBUILD ENV nothing".to_vec(), Path::new("f"), Dialect::Heredocs).is_err());
    assert_eq!(only("ONBUILD ONBUILD ENV nothing").keyword, Keyword::Onbuild);
}

#[test]
fn an_error_points_at_the_word_that_it_is_about() {
    for (source, place) in [
        ("ENV ba=1 a\n", "f:1:10:"),
        ("RUN x\nENV a=1 ENV\n", "f:2:9:"),
        ("RUN x\nLABEL a=1 \\\n b\n", "f:3:2:"),
    ] {
        let error = error(source, Dialect::Heredocs);
        assert!(error.starts_with(place), "{source:?}: {error}");
    }
}

#[test]
fn later_errors_point_at_a_word_or_at_the_instruction() {
    let file = file("FROM a\n  COPY --from=x x y\n", Dialect::Heredocs);
    let copy = file.instructions().nth(1).unwrap();
    let place = |word| {
        let error = file.point_at(copy, word, String::new(), String::new());
        (error.line, error.column)
    };
    assert_eq!((place("x"), place("x y"), place(""), place("no")), ((2, 15), (2, 17), (2, 3), (2, 3)));
}

#[test]
fn only_run_copy_and_add_open_heredocs() {
    for (source, expected) in [
        ("ONBUILD RUN <<E\na\nE\n", 1),
        ("ADD <<E /x\r\na\r\nE\r\n", 1),
        ("CMD <<E\na\nE\n", 3),
        ("ONBUILD CMD <<E\na\nE\n", 3),
        ("RUN [\"<<E\"]\na\nE\n", 3),
        ("RUN cat <<<E\na\n", 2),
    ] {
        assert_eq!(file(source, Dialect::Heredocs).instructions().count(), expected, "{source:?}");
    }
}

#[test]
fn what_the_engines_do_not_parse_is_an_error_at_its_place() {
    for (source, expected) in [
        (
            "FROM a\nENV a=1 \\\n  b\n",
            "f:3:3: ENV has no `=` in `b`\n  |\n3 |   b\n  |   ^ expected name=value",
        ),
        (
            "LABEL a=1 \\\n\nLABEL b=2\n",
            "f:3:1: LABEL has no `=` in `LABEL`\n  |\n3 | LABEL b=2\n  | ^ expected name=value",
        ),
        (
            "LABEL a\n",
            "f:1:1: LABEL must have two arguments\n  |\n1 | LABEL a\n  | ^ expected name=value or name value",
        ),
        (
            "CMD [\"a\", 1]\r\n",
            "f:1:5: a JSON array here can hold strings only\n  |\n1 | CMD [\"a\", 1]\n  |     ^ expected [\"string\", ...]",
        ),
        (
            "# escape=x",
            "f:1:9: the escape character must be ` or \\\n  |\n1 | # escape=x\n  |         ^ expected ` or \\",
        ),
        (
            "# escape=`\n# escape=`\n",
            "f:2:1: only one escape directive can be used\n  |\n2 | # escape=`\n  | ^",
        ),
        (
            "RUN cat <<E\nE \n",
            "f:1:9: the heredoc `E` has no end\n  |\n1 | RUN cat <<E\n  |         ^ expected a later line that is `E`",
        ),
        (
            "ONBUILD ENV a",
            "f:1:1: ENV must have two arguments\n  |\n1 | ONBUILD ENV a\n  | ^ expected name=value or name value",
        ),
    ] {
        assert_eq!(error(source, Dialect::Heredocs), expected);
    }
}

#[test]
fn the_newline_is_that_of_the_first_line() {
    for (source, expected) in [("RUN a\r\nRUN b\n", "\r\n"), ("RUN a\n", "\n"), ("RUN a", "\n"), ("\n", "\n")]
    {
        assert_eq!(file(source, Dialect::Heredocs).newline(), expected, "{source:?}");
    }
}

/// What this thread has computed so far: unlike the clock it does not hang on what else the machine does.
fn cpu_time() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_THREAD).unwrap();
    let time = usage.user_time();
    Duration::new(time.tv_sec().try_into().unwrap(), u32::try_from(time.tv_usec()).unwrap() * 1000)
}

#[test]
fn sixteen_times_the_bytes_take_no_more_than_sixty_times_as_long() {
    let shapes: [fn(usize) -> String; 5] = [
        |n| format!("RUN echo {}\n", "x y ".repeat(n)),
        |n| "ENV a=1 b=\"2 3\"\nRUN a \\\n  b\n# c\n".repeat(n / 8),
        |n| format!("RUN a{}\n", " \\\n  b".repeat(n / 2)),
        |n| format!("RUN <<E\n{}E\n", "a b\n".repeat(n)),
        |n| format!("{}RUN a\n", "ONBUILD ".repeat(n)),
    ];
    for shape in shapes {
        let time_of = |n: usize| {
            let source = shape(n);
            let before = cpu_time();
            assert_eq!(file(&source, Dialect::Heredocs).write_back().len(), source.len());
            cpu_time() - before
        };
        // Up to 8 MiB. What is quadratic takes 256 times as long; the least that is measured is 2 ms.
        let (small, large) = (time_of(1 << 16), time_of(1 << 20));
        let floor = Duration::from_millis(2);
        assert!(large < 60 * small.max(floor), "{:?}: {small:?}, then {large:?}", shape(1));
    }
}

/// Text that is likely to hit the rules of the parser.
fn tricky() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        prop::sample::select(vec![
            "FROM ",
            "RUN ",
            "COPY ",
            "ENV ",
            "ONBUILD ",
            "ARG ",
            "HEALTHCHECK ",
            "\n",
            "\r\n",
            "\\\n",
            "`\n",
            "# escape=`\n",
            "#",
            "--from=",
            "\"",
            "'",
            "[",
            "]",
            "[\"a\"]",
            "<<E",
            "<<-'E'",
            "\nE\n",
            "=",
            "a=b",
            " ",
            "\t",
            "$",
            "${",
            "}",
            ":-",
            "\u{a0}",
            "\u{feff}",
            "\\",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(fragment, 0..24).prop_map(|fragments| fragments.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic_and_written_back(source in tricky(), heredocs in any::<bool>()) {
        let dialect = if heredocs { Dialect::Heredocs } else { Dialect::BeforeHeredocs };
        let read = parse(source.clone(), Path::new("f"), dialect);
        if let Err(error) = &read {
            prop_assert!(!error.to_string().is_empty());
        }
        if let Ok(file) = read {
            prop_assert_eq!(file.write_back(), source.clone());
            let mut end = 0;
            for piece in &file.pieces {
                prop_assert_eq!(piece.span().start, end);
                end = piece.span().end;
                prop_assert!(end > piece.span().start);
            }
            prop_assert_eq!(end, source.len());
            for instruction in file.instructions() {
                let newlines = file.text(Span { start: 0, end: instruction.span.start });
                prop_assert_eq!(instruction.line, 1 + newlines.iter().filter(|&&byte| byte == b'\n').count());
                prop_assert!(instruction.end_line >= instruction.line);
                instruction.words();
                instruction.pairs();
            }
        }
    }
}

#[test]
fn each_of_several_files_has_its_own_directives_and_lines_count_through() {
    let first = "# escape=`\nFROM a\nRUN x `\n  y\n";
    let second = "RUN z \\\n  w\nENV A=`\n";
    let source = format!("{first}{second}").into_bytes();
    let file = read_several(source.clone(), &[first.len()], Path::new("f"), Rules::Buildah43).unwrap();
    assert_eq!(file.write_back(), source);
    let told: Vec<_> = file
        .instructions()
        .map(|i| (i.line, i.end_line, i.escape, String::from_utf8(i.original.clone()).unwrap()))
        .collect();
    let expected = [
        (2, 2, b'`', "FROM a"),
        (3, 4, b'`', "RUN x   y"),
        (5, 6, b'\\', "RUN z   w"),
        (7, 7, b'\\', "ENV A=`"),
    ];
    assert_eq!(told, expected.map(|(line, end, escape, text)| (line, end, escape, text.to_owned())));
    assert_eq!(file.text(file.instructions().nth(2).unwrap().span), b"RUN z \\\n  w\n");
}
