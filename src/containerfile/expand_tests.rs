//! What words are expanded to; the cases of the first table were also built with buildah 1.28.2.

use proptest::prelude::*;

use super::*;

fn variables() -> BTreeMap<String, String> {
    [
        ("A", "1"),
        ("E", ""),
        ("S", "a  b"),
        ("P", "/usr/local/bin.tar.gz"),
        ("V", "a.b.c"),
        ("Q", "\"q\""),
        ("ä", "u"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

#[test]
fn words_are_expanded_as_the_oldest_engine_does() {
    for (word, expected) in [
        ("a$A", "a1"),
        ("${A}b", "1b"),
        ("$Ab", ""),
        ("$A.b", "1.b"),
        ("${N:-x y}", "x y"),
        ("${E:-x}", "x"),
        ("${A:-x}", "1"),
        ("${A:+x}", "x"),
        ("${E:+x}", ""),
        ("${N:-${A:-z}}", "1"),
        ("${N:-'a}b'}", "a}b"),
        ("${}", ""),
        ("$", "$"),
        ("$$", "$$"),
        ("a$", "a$"),
        ("$1x", "x"),
        ("$ä", "u"),
        ("\\$A", "$A"),
        ("'$A'", "$A"),
        ("\"$A\"", "1"),
        ("\"\\$A\"", "$A"),
        ("\"a\\b\\\"\\\\\"", "a\\b\"\\"),
        ("a\\", "a"),
        ("a\\bc", "abc"),
        ("'a\\'", "a\\"),
        ("$Q", "\"q\""),
        ("\"'\"'\"'", "'\""),
        ("${N:-\"}\"}", "}"),
    ] {
        assert_eq!(expand_word(word, &variables(), Rules::Buildah28).as_deref(), Ok(expected), "{word}");
        assert_eq!(expand_word(word, &variables(), Rules::Buildah43).as_deref(), Ok(expected), "{word}");
    }
}

#[test]
fn later_engines_strip_and_replace() {
    for (word, expected) in [
        ("${A:?x}", "1"),
        ("${N:?x}", "x"),
        ("${P#*/}", "usr/local/bin.tar.gz"),
        ("${V#*.}", "b.c"),
        ("${V##*.}", "c"),
        ("${V%.*}", "a.b"),
        ("${V%%.*}", "a"),
        // `*` does not reach over a slash.
        ("${P##*.}", "/usr/local/bin.tar.gz"),
        ("${P%.*}", "/usr/local/bin.tar"),
        ("${P%%.*}", "/usr/local/bin"),
        ("${P#x}", "/usr/local/bin.tar.gz"),
        ("${P/local/x}", "/usr/x/bin.tar.gz"),
        ("${P/r}", "/us/local/bin.tar.gz"),
        ("${P//r/R}", "/usR/local/bin.taR.gz"),
        ("${P//\\//_}", "_usr_local_bin.tar.gz"),
        ("${P/#\\/usr/x}", "x/local/bin.tar.gz"),
        ("${P/#usr/x}", "/usr/local/bin.tar.gz"),
        ("${P/%gz/x}", "/usr/local/bin.tar.x"),
        ("${V/%?/x}", "a.b.x"),
        ("${A#1}", "1"),
        ("${S// /}", "ab"),
    ] {
        assert_eq!(expand_word(word, &variables(), Rules::Buildah39).as_deref(), Ok(expected), "{word}");
        assert!(expand_word(word, &variables(), Rules::Buildah28).is_err(), "{word}");
    }
}

#[test]
fn what_an_engine_cannot_expand_is_an_error() {
    for (word, rules, expected) in [
        ("'a", Rules::Buildah28, "unexpected end of `'a` while looking for a matching '"),
        ("\"a", Rules::Buildah28, "unexpected end of `\"a` while looking for a matching \""),
        ("\"a\\", Rules::Buildah28, "unexpected end of `\"a\\` while looking for a matching \""),
        ("${A:-x", Rules::Buildah28, "unexpected end of `${A:-x` while looking for a matching }"),
        (
            "${A-x}",
            Rules::Buildah43,
            "`${A-x}`: unsupported modifier `-` in a substitution (this engine does not have it)",
        ),
        ("${A", Rules::Buildah28, "unexpected end of `${A` while looking for a matching }"),
        (
            "${A:=x}",
            Rules::Buildah43,
            "`${A:=x}`: unsupported modifier `:=` in a substitution (this engine does not have it)",
        ),
        (
            "${A:?x}",
            Rules::Buildah28,
            "`${A:?x}`: unsupported modifier `:?` in a substitution (this engine does not have it)",
        ),
        (
            "${A%x}",
            Rules::Buildah28,
            "`${A%x}`: unsupported modifier `%` in a substitution (this engine does not have it)",
        ),
        (
            "${12}",
            Rules::Buildah28,
            "`${12}`: unsupported modifier `2` in a substitution (this engine does not have it)",
        ),
        ("${N:?}", Rules::Buildah39, "`${N:?}`: N is not allowed to be unset"),
        ("${A#}", Rules::Buildah39, "`${A#}`: A has no pattern to remove or to replace"),
        ("${A//}", Rules::Buildah39, "`${A//}`: A has no pattern to remove or to replace"),
    ] {
        let error = expand_word(word, &variables(), rules).unwrap_err();
        assert_eq!(error.to_string(), expected, "{word}");
    }
    let nested = |depth: usize| "${N:-".repeat(depth) + &"}".repeat(depth);
    assert_eq!(expand_word(&nested(DEEPEST), &variables(), Rules::Buildah28).as_deref(), Ok(""));
    assert_eq!(expand_word(&nested(DEEPEST + 1), &variables(), Rules::Buildah28), Err(ExpandError::Depth));
    let in_a_row = expand_word(&"${A}".repeat(DEEPEST + 1), &variables(), Rules::Buildah28);
    assert_eq!(in_a_row.as_deref(), Ok(&*"1".repeat(DEEPEST + 1)));
    assert_eq!(
        expand_word(&"${A:-".repeat(100_000), &variables(), Rules::Buildah28),
        Err(ExpandError::Depth)
    );
}

#[test]
fn the_text_of_a_heredoc_keeps_its_quotes_and_escapes() {
    for (text, expected) in [
        ("a $A  ${A}\n", "a 1  1\n"),
        ("'$A'", "'$A'"),
        ("\"$A\"", "\"1\""),
        ("\\$A", "\\$A"),
        ("\"\\$A\\x\"", "\"\\$A\\x\""),
        ("${N-x}${A+y}${A?z}${E-w}", "xy1w"),
        ("${N:-x}", "x"),
        ("[$?$@$*]", "[]"),
        ("$", "$"),
    ] {
        assert_eq!(expand_text(text, &variables()).as_deref(), Ok(expected), "{text}");
    }
    assert!(expand_text("it's", &variables()).is_err());
}

#[test]
fn a_value_with_blanks_becomes_several_words_unless_quoted() {
    for (word, expected) in [
        ("$S", vec!["a", "b"]),
        ("x$S", vec!["xa", "b"]),
        ("\"$S\"", vec!["a  b"]),
        ("$E", vec![]),
        ("\"\"", vec![]),
        ("a\\ b c", vec!["a b", "c"]),
        ("80-90", vec!["80-90"]),
    ] {
        assert_eq!(
            expand_words(word, &variables(), Rules::Buildah28),
            Ok(expected.into_iter().map(str::to_owned).collect())
        );
    }
}

proptest! {
    #[test]
    fn any_word_is_expanded_or_refused(
        word in "([$]\\{?|[A-Z]|:[-+?]|[#%/*?]|\\[|\\]|[}'\"\\\\ ]|\\PC){0,24}",
        value in "\\PC{0,12}",
    ) {
        let mut variables = variables();
        variables.insert("A".to_owned(), value);
        for rules in [Rules::Buildah28, Rules::Buildah43] {
            let one = expand_word(&word, &variables, rules);
            let many = expand_words(&word, &variables, rules);
            prop_assert_eq!(one.is_ok(), many.is_ok());
        }
    }
}

#[test]
fn variables_of_variables_do_not_grow_without_measure() {
    let mut variables = BTreeMap::from([("A0".to_owned(), "x".repeat(10))]);
    let mut refused = None;
    for n in 1..=10 {
        let word = format!("${{A{}}}", n - 1).repeat(10);
        match expand_word(&word, &variables, Rules::Buildah43) {
            Ok(value) => drop(variables.insert(format!("A{n}"), value)),
            Err(error) => {
                refused = Some((n, error.to_string()));
                break;
            }
        }
    }
    let (n, error) = refused.unwrap();
    assert!(n == 6 && error.contains("`${A5}${A5}") && error.contains("4 MiB"), "{n} {error}");
    let long = BTreeMap::from([("A".to_owned(), "x".repeat(10_000)), ("B".to_owned(), "*x*x*y".to_owned())]);
    for word in ["${A//x/$A}", "\"$A$A\"${A//x/${A//x/$A}}", "${A//x/\"$A\"}"] {
        let error = expand_word(word, &long, Rules::Buildah43).unwrap_err();
        assert!(matches!(error, ExpandError::TooLong { .. }), "{word}: {error}");
    }
    // What stands in the file may be as long as it is.
    let literal = "x".repeat(5 << 20);
    assert_eq!(expand_word(&literal, &long, Rules::Buildah43).unwrap().len(), literal.len());
}

#[test]
fn patterns_without_end_are_given_up() {
    let value = BTreeMap::from([("A".to_owned(), "x".repeat(200_000))]);
    for word in ["${A//*x*y/z}", "${A##*x*x*x*x*x*y}", "${A%%y*x*x*x*x*x*}", "${A%y*}"] {
        let began = std::time::Instant::now();
        let expanded = expand_word(word, &value, Rules::Buildah43);
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "{word}");
        let given_up = matches!(expanded, Err(ExpandError::TooLong { .. }));
        assert_eq!(given_up, word.contains("//"), "{word}");
    }
}
