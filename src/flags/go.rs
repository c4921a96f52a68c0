//! Values as Go's standard library reads and prints them: the engines' flags are Go's.
//!
//! Only what flags need: booleans, integers, durations, comma lists and quoted text, with the messages
//! that a user of buildah and podman knows.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

/// `strconv.ParseBool`.
pub fn parse_bool(text: &OsStr) -> Result<bool, String> {
    match text.as_bytes() {
        b"1" | b"t" | b"T" | b"TRUE" | b"true" | b"True" => Ok(true),
        b"0" | b"f" | b"F" | b"FALSE" | b"false" | b"False" => Ok(false),
        _ => Err(syntax_error("ParseBool", text)),
    }
}

/// `strconv.ParseInt(text, 0, 64)`: decimal, `0x`, `0o`, `0b`, a leading 0 for octal, `_` between digits.
pub fn parse_int(text: &OsStr) -> Result<i64, String> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let magnitude = magnitude(digits, text, "ParseInt")?;
    let signed = if negative { -magnitude } else { magnitude };
    i64::try_from(signed).map_err(|_| range_error("ParseInt", text))
}

/// `strconv.ParseUint(text, 0, 64)`.
pub fn parse_uint(text: &OsStr) -> Result<u64, String> {
    let magnitude = magnitude(text.as_bytes(), text, "ParseUint")?;
    u64::try_from(magnitude).map_err(|_| range_error("ParseUint", text))
}

fn magnitude(digits: &[u8], whole: &OsStr, function: &str) -> Result<i128, String> {
    let (radix, body) = match digits {
        [b'0', b'x' | b'X', rest @ ..] => (16, rest),
        [b'0', b'o' | b'O', rest @ ..] => (8, rest),
        [b'0', b'b' | b'B', rest @ ..] => (2, rest),
        [b'0', rest @ ..] if !rest.is_empty() => (8, rest),
        rest => (10, rest),
    };
    let misplaced = |at: usize| {
        let before = if at == 0 { radix != 10 } else { body[at - 1] != b'_' };
        let after = body.get(at + 1).is_some_and(|next| *next != b'_');
        !(before && after)
    };
    let mut value: i128 = 0;
    let mut seen = false;
    for (at, byte) in body.iter().enumerate() {
        if *byte == b'_' {
            if misplaced(at) {
                return Err(syntax_error(function, whole));
            }
            continue;
        }
        let Some(digit) = char::from(*byte).to_digit(radix) else {
            return Err(syntax_error(function, whole));
        };
        seen = true;
        // Saturates: anything near i128's end is far out of the range of 64 bits.
        value = value.saturating_mul(i128::from(radix)).saturating_add(i128::from(digit));
    }
    if seen { Ok(value) } else { Err(syntax_error(function, whole)) }
}

fn syntax_error(function: &str, text: &OsStr) -> String {
    format!("strconv.{function}: parsing {}: invalid syntax", quote(text))
}

fn range_error(function: &str, text: &OsStr) -> String {
    format!("strconv.{function}: parsing {}: value out of range", quote(text))
}

/// `time.ParseDuration` for durations that are not negative: `1h30m`, `1.5s`, `0`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("time: invalid duration {}", quote(text.as_ref()));
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanoseconds: u128 = 0;
    while !rest.is_empty() {
        if !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return Err(invalid());
        }
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(|| format!("time: missing unit in duration {}", quote(text.as_ref())))?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => {
                let (unit, text) = (quote(unit.as_ref()), quote(text.as_ref()));
                return Err(format!("time: unknown unit {unit} in duration {text}"));
            }
        };
        nanoseconds = scaled(number, scale)
            .and_then(|part| nanoseconds.checked_add(part))
            .filter(|sum| i64::try_from(*sum).is_ok())
            .ok_or_else(invalid)?;
        rest = tail;
    }
    if text.starts_with('-') && nanoseconds > 0 {
        return Err(format!("time: negative duration {}", quote(text.as_ref())));
    }
    u64::try_from(nanoseconds).map(Duration::from_nanos).map_err(|_| invalid())
}

/// A decimal number times a scale, cut off behind the last whole unit.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let mut sum = match whole {
        "" => 0,
        digits => digits.parse::<u128>().ok()?.checked_mul(scale)?,
    };
    let mut unit = scale;
    for digit in fraction.bytes() {
        unit /= 10;
        sum = sum.checked_add(u128::from(digit - b'0') * unit)?;
    }
    Some(sum)
}

/// One record as `encoding/csv` reads it, which is how pflag splits a comma list.
pub fn split_list(text: &OsStr) -> Result<Vec<OsString>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let normalised = normalise_newlines(text.as_bytes());
    // Empty lines before the record are skipped.
    let skipped = normalised.iter().take_while(|byte| **byte == b'\n').count();
    let bytes = &normalised[skipped..];
    if bytes.is_empty() {
        return Err("EOF".to_owned());
    }
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        let (field, next) =
            if bytes.get(at) == Some(&b'"') { quoted_field(bytes, at)? } else { bare_field(bytes, at)? };
        fields.push(OsString::from_vec(field));
        match bytes.get(next) {
            Some(b',') => at = next + 1,
            _ => return Ok(fields),
        }
    }
}

fn bare_field(bytes: &[u8], start: usize) -> Result<(Vec<u8>, usize), String> {
    let length = bytes[start..].iter().take_while(|byte| !matches!(byte, b',' | b'\n')).count();
    let field = &bytes[start..start + length];
    match field.iter().position(|byte| *byte == b'"') {
        None => Ok((field.to_vec(), start + length)),
        Some(at) => Err(list_error(bytes, start + at, "bare \" in non-quoted-field")),
    }
}

fn quoted_field(bytes: &[u8], start: usize) -> Result<(Vec<u8>, usize), String> {
    let stray = "extraneous or missing \" in quoted-field";
    let mut field = Vec::new();
    let mut at = start + 1;
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (None, _) => return Err(list_error(bytes, at, stray)),
            (Some(b'"'), Some(b'"')) => {
                field.push(b'"');
                at += 2;
            }
            (Some(b'"'), None | Some(b',' | b'\n')) => return Ok((field, at + 1)),
            (Some(b'"'), Some(_)) => return Err(list_error(bytes, at, stray)),
            (Some(byte), _) => {
                field.push(*byte);
                at += 1;
            }
        }
    }
}

fn list_error(bytes: &[u8], at: usize, message: &str) -> String {
    let before = &bytes[..at.min(bytes.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = at - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |p| p + 1) + 1;
    if line == 1 {
        format!("parse error on line {line}, column {column}: {message}")
    } else {
        format!("record on line 1; parse error on line {line}, column {column}: {message}")
    }
}

fn normalise_newlines(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (at, byte) in text.iter().enumerate() {
        let ends_line = matches!(text.get(at + 1), None | Some(b'\n'));
        if *byte != b'\r' || !ends_line {
            out.push(*byte);
        }
    }
    out
}

/// The words of a line as `go-shellwords` splits it, without variables and commands: an unquoted operator ends it.
pub fn shell_words(line: &str) -> Result<Vec<String>, String> {
    let wrong = || "invalid command line string".to_owned();
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', None | Some('"')) => {
                word.get_or_insert_default().push(characters.next().ok_or_else(wrong)?)
            }
            (_, Some(open)) if character == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(character),
            ('"' | '\'', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (' ' | '\t' | '\r' | '\n', None) => words.extend(word.take()),
            (';' | '&' | '|' | '<' | '>', None) => break,
            ('(' | ')' | '`', None) => return Err(wrong()),
            (_, None) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    if quote.is_some() { Err(wrong()) } else { Ok(words) }
}

/// Text in double quotes as `%q` prints it.
pub fn quote(text: &OsStr) -> String {
    let mut out = String::from("\"");
    for chunk in text.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                c if c.is_control() => out.extend(c.escape_unicode()),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_words_end_at_spaces_that_are_not_quoted() {
        let words = |line| shell_words(line).unwrap_or_else(|error| vec![error]);
        assert_eq!(
            words("  -DA=1 -D'B=x y' \t-D\"C=\\\"z\" -DD=a\\ b ''"),
            ["-DA=1", "-DB=x y", "-DC=\"z", "-DD=a b", ""]
        );
        assert_eq!(words("-DA;-DB"), ["-DA"]);
        assert_eq!(words(""), [""; 0]);
        for wrong in ["'a", "\"a", "a\\", "$(a)"] {
            assert_eq!(words(wrong), ["invalid command line string"], "{wrong}");
        }
    }

    #[test]
    fn booleans_are_those_of_strconv() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(parse_bool(text.as_ref()), Ok(true), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(parse_bool(text.as_ref()), Ok(false), "{text}");
        }
        assert_eq!(
            parse_bool("maybe".as_ref()),
            Err("strconv.ParseBool: parsing \"maybe\": invalid syntax".to_owned())
        );
        assert!(parse_bool("yes".as_ref()).is_err() && parse_bool("".as_ref()).is_err());
    }

    #[test]
    fn integers_have_go_s_prefixes_and_limits() {
        let cases = [
            ("0", Some(0)),
            ("+7", Some(7)),
            ("-12", Some(-12)),
            ("0x1F", Some(31)),
            ("0b101", Some(5)),
            ("0o17", Some(15)),
            ("017", Some(15)),
            ("0x_f", Some(15)),
            ("1_000", Some(1000)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("_1", None),
            ("1__0", None),
            ("1_", None),
            ("0x", None),
            ("", None),
            ("-", None),
            ("x", None),
            ("1.5", None),
            ("08", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_int(text.as_ref()).ok(), expected, "{text}");
        }
        assert!(parse_uint("-1".as_ref()).is_err());
        assert_eq!(
            parse_int("99999999999999999999".as_ref()),
            Err("strconv.ParseInt: parsing \"99999999999999999999\": value out of range".to_owned())
        );
    }

    #[test]
    fn durations_add_up_their_units() {
        let cases = [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("2s", Some(2_000_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            (".5s", Some(500_000_000)),
            ("1us", Some(1_000)),
            ("1µs", Some(1_000)),
            ("+3ms", Some(3_000_000)),
            ("", None),
            ("3", None),
            ("s", None),
            ("1d", None),
            ("1.2.3s", None),
            ("-1s", None),
            ("-0s", Some(0)),
            ("9999999h", None),
        ];
        for (text, expected) in cases {
            let nanoseconds = parse_duration(text).ok().map(|d| d.as_nanos());
            assert_eq!(nanoseconds, expected, "{text}");
        }
        assert_eq!(parse_duration("abc").unwrap_err(), "time: invalid duration \"abc\"");
    }

    #[test]
    fn lists_are_split_as_csv() {
        let cases: &[(&str, Result<&[&str], &str>)] = &[
            ("a", Ok(&["a"])),
            ("a,b", Ok(&["a", "b"])),
            ("a,", Ok(&["a", ""])),
            (",", Ok(&["", ""])),
            ("", Ok(&[])),
            ("\"a,b\",c", Ok(&["a,b", "c"])),
            ("\"a\"\"b\"", Ok(&["a\"b"])),
            (" a , b", Ok(&[" a ", " b"])),
            ("a\nb", Ok(&["a"])),
            ("\n\na", Ok(&["a"])),
            ("a\r", Ok(&["a"])),
            ("\"a\nb\"", Ok(&["a\nb"])),
            ("\n", Err("EOF")),
            ("\"a", Err("parse error on line 1, column 3: extraneous or missing \" in quoted-field")),
            ("a\"b", Err("parse error on line 1, column 2: bare \" in non-quoted-field")),
            ("\"a\"b", Err("parse error on line 1, column 3: extraneous or missing \" in quoted-field")),
        ];
        for (text, expected) in cases {
            let split = split_list(text.as_ref());
            let expected = expected.map(|list| list.iter().map(OsString::from).collect::<Vec<_>>());
            assert_eq!(split, expected.map_err(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn quoting_shows_bytes_that_are_no_text() {
        assert_eq!(quote(OsStr::from_bytes(b"a\"\\\n\xff\x01")), r#""a\"\\\n\xff\u{1}""#);
    }
}
