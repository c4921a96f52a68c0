//! Text as it is shown: what a terminal would obey, or nobody would see, is written out.
//!
//! Names, instructions, errors of engines and values of records come from others. Every view passes them through here;
//! JSON does not, which has its own rules and stays exact.

use std::borrow::Cow;
use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

const ESCAPE: char = '\x1b';
const RESET: &str = "\x1b[0m";

/// A text with its control characters, and those that turn the direction or have no width, written as `\n`, `\x1b`,
/// `\u{202e}`: it takes one line and does nothing.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        push(&mut out, character);
    }
    Cow::Owned(out)
}

/// The same of a text of several lines, which stay lines; those behind the first begin with `indent`.
pub fn visible_lines(text: &str, indent: &str) -> String {
    let lines: Vec<Cow<'_, str>> = text.split('\n').map(visible).collect();
    lines.join(&format!("\n{indent}"))
}

/// The same of a file's bytes, where those that are no UTF-8 are written as `\xff`, and tabs stay.
pub fn visible_file(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' | '\t' => out.push(character),
                other => push(&mut out, other),
            }
        }
        push_invalid(&mut out, chunk.invalid());
    }
    out
}

/// A line of a command's output for a terminal: with its colours, if wanted, and without what else it would do there.
///
/// Of a line that was written over with carriage returns, what was there last. Sequences that move, clear, link or name
/// the window are left out; other control characters are written out.
pub fn output_line(bytes: &[u8], colours: bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut coloured = false;
    let end = bytes.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last + 1);
    let begin = bytes[..end].iter().rposition(|byte| *byte == b'\r').map_or(0, |last| last + 1);
    for chunk in bytes[begin..end].utf8_chunks() {
        let mut characters = chunk.valid().chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\t' => out.push_str("    "),
                ESCAPE => {
                    if let Some(sequence) = escape_sequence(&mut characters).filter(|_| colours) {
                        out.push_str(&sequence);
                        coloured = true;
                    }
                }
                // These have a meaning in text, such as in emoji, and the line is no name.
                character if is_hidden(character) && !has_no_width(character) => push(&mut out, character),
                character => out.push(character),
            }
        }
        push_invalid(&mut out, chunk.invalid());
    }
    if coloured && !out.ends_with(RESET) {
        out.push_str(RESET);
    }
    out
}

/// Takes what belongs to an escape, and gives it back where it does nothing but colour (ECMA-48, 8.3.117).
fn escape_sequence(characters: &mut Peekable<Chars<'_>>) -> Option<String> {
    match characters.peek().copied() {
        Some('[') => {
            characters.next();
            let mut parameters = String::new();
            for character in characters.by_ref() {
                match character {
                    'm' if parameters.chars().all(|c| c.is_ascii_digit() || matches!(c, ';' | ':')) => {
                        return Some(format!("{ESCAPE}[{parameters}m"));
                    }
                    // What ends a sequence (ECMA-48, 5.4).
                    '\x40'..='\x7e' => return None,
                    other => parameters.push(other),
                }
            }
            None
        }
        // Strings for the terminal (5.6), up to BEL or the string terminator.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(character) = characters.next() {
                if character == '\x07' {
                    break;
                }
                if character == ESCAPE && characters.peek() == Some(&'\\') {
                    characters.next();
                    break;
                }
            }
            None
        }
        // Two characters, or one that is not ours to take.
        Some(' '..='~') => {
            characters.next();
            None
        }
        _ => None,
    }
}

fn push(out: &mut String, character: char) {
    match character {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\0'..='\x1f' | '\x7f' => {
            let _ = write!(out, "\\x{:02x}", u32::from(character));
        }
        character if is_hidden(character) => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
        }
        character => out.push(character),
    }
}

fn push_invalid(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(out, "\\x{byte:02x}");
    }
}

/// Whether a character does something, or is not seen: controls (C0, C1), separators of lines, marks of direction, and
/// what Unicode calls default-ignorable.
fn is_hidden(character: char) -> bool {
    character.is_control() || turns(character) || has_no_width(character)
}

/// Marks of direction, and the separators that end a line.
fn turns(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
    )
}

fn has_no_width(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}'
            | '\u{2060}'..='\u{2065}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::steps::{StageBlock, StepLine, draw};
    use crate::report::table::{one_line, table};
    use crate::report::template::Template;

    #[test]
    fn what_would_be_obeyed_or_not_seen_is_written_out() {
        for (text, expected) in [
            ("plain äöü 漢字 \\n", "plain äöü 漢字 \\n"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\x1b[2J\x07\x7f\0", "\\x1b[2J\\x07\\x7f\\x00"),
            ("\u{9b}31m\u{85}", "\\u{9b}31m\\u{85}"),
            ("cod\u{202e}txt.exe", "cod\\u{202e}txt.exe"),
            ("a\u{200b}b\u{2028}c\u{feff}\u{e0041}", "a\\u{200b}b\\u{2028}c\\u{feff}\\u{e0041}"),
        ] {
            assert_eq!(visible(text), expected);
        }
        assert_eq!(visible_lines("a\nb\x1b", "  "), "a\n  b\\x1b");
        assert_eq!(visible_file(b"a\n\t\xff\x1b\xc3\xa4\xc3"), "a\n\t\\xff\\x1bä\\xc3");
    }

    #[test]
    fn a_line_of_output_keeps_its_colours_and_nothing_else() {
        for (line, coloured, plain) in [
            (&b"\x1b[1;31mred\x1b[0m"[..], "\x1b[1;31mred\x1b[0m", "red"),
            (b"\x1b[32mopen", "\x1b[32mopen\x1b[0m", "open"),
            (b"\x1b[2K\x1b[1A\x1b[?25lup", "up", "up"),
            (b"\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b\x1bPq\x1b\\c", "abc", "abc"),
            (b"10%\r20%\r", "20%", "20%"),
            (b"a\tb\x08c\xff", "a    b\\x08c\\xff", "a    b\\x08c\\xff"),
            (b"\x1b[>4;2m\x1b(Bx\x1bcy", "Bxy", "Bxy"),
            (
                "\u{9b}2J\u{202e}x ❤\u{fe0f}".as_bytes(),
                "\\u{9b}2J\\u{202e}x ❤\u{fe0f}",
                "\\u{9b}2J\\u{202e}x ❤\u{fe0f}",
            ),
        ] {
            assert_eq!(output_line(line, true), coloured, "{}", line.escape_ascii());
            assert_eq!(output_line(line, false), plain, "{}", line.escape_ascii());
        }
    }

    /// Lines that hold nothing but text.
    fn is_plain(drawn: &str) -> bool {
        !drawn.chars().any(|character| character != '\n' && is_hidden(character))
    }

    proptest! {
        #[test]
        fn no_view_obeys_a_name(name in any::<String>(), other in "[\\x00-\\x1f\\x7f-\\x9f\u{202a}-\u{202e}a]{0,8}") {
            for name in [name, other] {
                let row = vec![name.clone(), "b".to_owned()];
                let drawn = table(&["A", "B"], &[row]);
                prop_assert!(is_plain(&drawn) && drawn.lines().count() == 2, "{drawn:?}");

                let step = StepLine { word: "run", title: name.clone(), duration_ms: Some(1), notes: vec![name.clone()] };
                let notes = vec![name.clone()];
                let block = StageBlock { name: name.clone(), about: name.clone(), notes, steps: vec![step] };
                let drawn = draw(&[block], false);
                prop_assert!(is_plain(&drawn) && drawn.lines().count() == 4, "{drawn:?}");

                let shown = one_line(&name, 30);
                prop_assert!(is_plain(&shown) && !shown.contains('\n') && shown.chars().count() <= 30);

                let value = serde_json::json!({"name": name, "names": [name]});
                let filled = Template::parse("{{.name}} {{.names}} {{join .names \",\"}}").unwrap().fill(&value).unwrap();
                prop_assert!(is_plain(&filled) && !filled.contains('\n'), "{filled:?}");
                let exact = Template::parse("{{json .name}}").unwrap().fill(&value).unwrap();
                prop_assert_eq!(serde_json::from_str::<String>(&exact).unwrap(), name);
            }
        }

        #[test]
        fn no_output_of_a_command_does_more_than_colour(bytes in any::<Vec<u8>>(), tail in "[\\x1b\\[\\]0-9;mKP\\\\\\x07\\x9b]{0,12}") {
            let sequences = regex::Regex::new("\x1b\\[[0-9;:]*m").unwrap();
            for bytes in [bytes, tail.into_bytes()] {
                let plain = output_line(&bytes, false);
                prop_assert!(!plain.chars().any(|c| c.is_control() || turns(c)), "{plain:?}");
                let coloured = output_line(&bytes, true);
                let rest = sequences.replace_all(&coloured, "");
                prop_assert!(!rest.chars().any(|c| c.is_control() || turns(c)), "{coloured:?}");
            }
        }
    }
}
