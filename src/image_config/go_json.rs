//! JSON as Go's encoder writes it, byte for byte, so that equal configs have equal digests.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CharEscape, Formatter, Serializer};

/// What Go writes for a time that was never set.
pub(super) const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// The bytes of a value, without white space.
pub(super) fn to_bytes(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, GoFormatter))
        .expect("a value in memory can be written");
    bytes
}

/// A time as Go writes it back: no zeros at the end of the fraction, `Z` for UTC.
pub(super) fn normal_time(time: &str) -> String {
    let utc = ["+00:00", "-00:00", "Z"].iter().find_map(|zone| time.strip_suffix(zone));
    match utc {
        Some(time) if time.contains('.') => {
            format!("{}Z", time.trim_end_matches('0').trim_end_matches('.'))
        }
        Some(time) => format!("{time}Z"),
        None => time.to_owned(),
    }
}

struct GoFormatter;

impl Formatter for GoFormatter {
    /// Escapes what could end a script in HTML, as Go's `Marshal` does.
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut written = 0;
        for (position, character) in fragment.char_indices() {
            if matches!(character, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') {
                writer.write_all(&fragment.as_bytes()[written..position])?;
                write!(writer, "\\u{:04x}", u32::from(character))?;
                written = position + character.len_utf8();
            }
        }
        writer.write_all(&fragment.as_bytes()[written..])
    }

    fn write_char_escape<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::Solidus => writer.write_all(b"/"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::CarriageReturn => writer.write_all(b"\\r"),
            CharEscape::Tab => writer.write_all(b"\\t"),
            CharEscape::Backspace => writer.write_all(b"\\u0008"),
            CharEscape::FormFeed => writer.write_all(b"\\u000c"),
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_are_escaped_as_in_go() {
        let value = json!({"b": "<a & b>\u{2028}", "a": "\"\\/\n\r\t\u{8}\u{1}\u{7f}é"});
        let expected =
            "{\"b\":\"\\u003ca \\u0026 b\\u003e\\u2028\",\"a\":\"\\\"\\\\/\\n\\r\\t\\u0008\\u0001\u{7f}é\"}";
        assert_eq!(String::from_utf8(to_bytes(&value)).unwrap(), expected);
    }

    #[test]
    fn times_have_no_zeros_at_their_end() {
        for (time, expected) in [
            ("2026-01-02T03:04:05.120300Z", "2026-01-02T03:04:05.1203Z"),
            ("2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:00Z", "2026-01-02T03:04:00Z"),
            ("2026-01-02T03:04:05.5+00:00", "2026-01-02T03:04:05.5Z"),
            ("2026-01-02T03:04:05+02:00", "2026-01-02T03:04:05+02:00"),
            ("", ""),
        ] {
            assert_eq!(normal_time(time), expected);
        }
    }
}
