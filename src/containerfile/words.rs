//! The line of one instruction cut into flags, words, pairs and JSON, quotes and escapes kept as written.
//!
//! Follows `split_command.go` and `line_parsers.go` of imagebuilder 1.2.3, the parser of buildah 1.28.2;
//! what becomes of quotes and variables later is `expand`'s work.

use serde_json::Value;

use super::ast::Flag;
use super::text::{is_separator, is_space, is_space_byte};

/// The `--name[=value]` words at the front, and the offset of what follows them.
///
/// The engines look at single bytes here: a byte from 0x80 on becomes the character of that number, and
/// a backslash escapes whatever the file's escape character is.
pub(super) fn leading_flags(line: &[u8]) -> (Vec<Flag>, usize) {
    let mut flags = Vec::new();
    let mut position = 0;
    loop {
        position += line[position..].iter().take_while(|&&byte| is_space_byte(byte)).count();
        if !line[position..].starts_with(b"--") {
            return (flags, position);
        }
        let (word, end) = flag_word(line, position);
        position = end;
        if word == "--" {
            return (flags, position);
        }
        flags.push(flag(&word));
    }
}

fn flag_word(line: &[u8], start: usize) -> (String, usize) {
    let mut word = String::new();
    let mut quote = None;
    let mut position = start;
    while let Some(&byte) = line.get(position) {
        match byte {
            _ if quote.is_none() && is_space_byte(byte) => break,
            b'\'' | b'"' if quote.is_none() => quote = Some(byte),
            _ if quote == Some(byte) => quote = None,
            b'\\' => {
                position += 1;
                word.extend(line.get(position).copied().map(char::from));
            }
            _ => word.push(char::from(byte)),
        }
        position += 1;
    }
    (word, position.min(line.len()))
}

fn flag(word: &str) -> Flag {
    let word = &word[2..];
    match word.split_once('=') {
        Some((name, value)) => Flag { name: name.to_owned(), value: Some(value.to_owned()) },
        None => Flag { name: word.to_owned(), value: None },
    }
}

/// Cuts at white space.
pub(super) fn separated(rest: &str) -> Vec<String> {
    rest.split(|c: char| c.is_ascii() && is_separator(c as u8))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Cuts at white space outside quotes; quotes and escapes stay in the words.
pub(super) fn quoted(rest: &str, escape: u8) -> Vec<String> {
    let escape = char::from(escape);
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        if quote.is_none() && is_space(character) {
            words.extend(word.take().filter(|word| !word.is_empty()));
            continue;
        }
        let word = word.get_or_insert_default();
        match quote {
            None if matches!(character, '\'' | '"') => quote = Some(character),
            Some(open) if open == character => quote = None,
            _ => {}
        }
        if character == escape && quote != Some('\'') {
            // An escape character at the very end is dropped.
            if let Some(escaped) = characters.next() {
                word.extend([character, escaped]);
            }
            continue;
        }
        word.push(character);
    }
    words.extend(word.filter(|word| !word.is_empty()));
    words
}

/// Why the words of an ENV or LABEL are no pairs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PairError {
    /// `KEY` alone.
    NoValue,
    /// A word without `=` behind words that have one.
    NoEquals(String),
}

/// The pairs of `k=v k2=v2`, or the one pair of the old form `k v`.
pub(super) fn pairs(rest: &str, escape: u8) -> Result<Vec<(String, String)>, PairError> {
    let words = quoted(rest, escape);
    let Some(first) = words.first() else {
        return Ok(Vec::new());
    };
    if !first.contains('=') {
        let end = rest.bytes().position(is_separator).ok_or(PairError::NoValue)?;
        let value = rest[end..].trim_start_matches(|c: char| c.is_ascii() && is_separator(c as u8));
        return Ok(vec![(rest[..end].to_owned(), value.to_owned())]);
    }
    words
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
            None => Err(PairError::NoEquals(word)),
        })
        .collect()
}

/// A JSON array that has something else than strings in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotStrings;

/// `rest` as a JSON array of strings, `None` when it is not JSON; text behind the array is ignored, as
/// the engines do.
///
/// Differs from Go's decoder in two things that no one writes: `\ud800` alone, and nesting beyond 127.
pub(super) fn json_strings(rest: &str) -> Result<Option<Vec<String>>, NotStrings> {
    if !rest.starts_with('[') {
        return Ok(None);
    }
    let first = serde_json::Deserializer::from_str(rest).into_iter::<Vec<Value>>().next();
    let Some(Ok(values)) = first else {
        return Ok(None);
    };
    let strings = values.into_iter().map(|value| match value {
        Value::String(text) => Ok(text),
        _ => Err(NotStrings),
    });
    strings.collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_end_at_the_first_word_that_is_none() {
        for (line, expected, rest) in [
            ("--from=a --chown=b:c x --y", vec!["from=a", "chown=b:c"], "x --y"),
            ("--link src dst", vec!["link"], "src dst"),
            ("x --from=a", vec![], "x --from=a"),
            ("--from='a b'\"c\" d", vec!["from=a bc"], "d"),
            ("--from=a\\ b d", vec!["from=a b"], "d"),
            ("-- --x y", vec![], " --x y"),
            ("--", vec![], ""),
            ("--a=\\", vec!["a="], ""),
            ("--a='x y", vec!["a=x y"], ""),
            ("--a=é y", vec!["a=Ã©"], "y"),
            ("-x", vec![], "-x"),
        ] {
            let (flags, offset) = leading_flags(line.as_bytes());
            let shown: Vec<_> = flags
                .iter()
                .map(|flag| match &flag.value {
                    Some(value) => format!("{}={value}", flag.name),
                    None => flag.name.clone(),
                })
                .collect();
            assert_eq!(
                (shown, &line[offset..]),
                (expected.iter().map(|s| s.to_string()).collect(), rest),
                "{line}"
            );
        }
    }

    #[test]
    fn words_keep_their_quotes_and_escapes() {
        for (rest, expected) in [
            ("a=1 b=2", vec!["a=1", "b=2"]),
            ("a=\"1 2\" b='3 4'", vec!["a=\"1 2\"", "b='3 4'"]),
            ("a=1\\ 2 b", vec!["a=1\\ 2", "b"]),
            ("a=\"1\\\" 2\" b", vec!["a=\"1\\\" 2\"", "b"]),
            ("a='1\\' b", vec!["a='1\\'", "b"]),
            ("a=\"1 2", vec!["a=\"1 2"]),
            ("a\\", vec!["a"]),
            ("\\", vec![]),
            ("\"\"", vec!["\"\""]),
            ("a\u{a0}b", vec!["a", "b"]),
        ] {
            assert_eq!(quoted(rest, b'\\'), expected, "{rest}");
        }
        assert_eq!(quoted("a=1` 2 b=c:\\", b'`'), ["a=1` 2", "b=c:\\"]);
    }

    #[test]
    fn pairs_come_in_two_forms() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        for (rest, expected) in [
            ("", Ok(vec![])),
            ("a=1 b=\"2 3\"", Ok(vec![pair("a", "1"), pair("b", "\"2 3\"")])),
            ("a  1 b=2  ", Ok(vec![pair("a", "1 b=2  ")])),
            ("a=", Ok(vec![pair("a", "")])),
            ("=a", Ok(vec![pair("", "a")])),
            ("a", Err(PairError::NoValue)),
            ("a=1 b", Err(PairError::NoEquals("b".to_owned()))),
            ("\"a b\"=1", Ok(vec![pair("\"a b\"", "1")])),
            ("\"a b\" c", Ok(vec![pair("\"a", "b\" c")])),
        ] {
            assert_eq!(pairs(rest, b'\\'), expected, "{rest}");
        }
    }

    #[test]
    fn json_is_an_array_of_strings_and_the_rest_of_the_line_is_ignored() {
        let strings = |words: &[&str]| Ok(Some(words.iter().map(|word| word.to_string()).collect()));
        for (rest, expected) in [
            (r#"["a", "b\n\u00e9"]"#, strings(&["a", "b\né"])),
            ("[]", strings(&[])),
            (r#"["a"] b"#, strings(&["a"])),
            (r#"["a"]]"#, strings(&["a"])),
            ("['a']", Ok(None)),
            (r#"["a""#, Ok(None)),
            (r#"["a",]"#, Ok(None)),
            (r#""a""#, Ok(None)),
            ("[1]", Err(NotStrings)),
            (r#"["a", null]"#, Err(NotStrings)),
            (r#"["a\x"]"#, Ok(None)),
        ] {
            assert_eq!(json_strings(rest), expected, "{rest}");
        }
    }
}
