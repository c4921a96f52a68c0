//! What is wrong with a Containerfile, and where.

use std::fmt;
use std::path::PathBuf;

use crate::address::masked;

/// A Containerfile that the engines refuse to read.
///
/// `Display` shows the place as a small annotated snippet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    /// The file, as shown in messages.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// That line of the file, without its newline.
    pub source_line: String,
    /// What is wrong.
    pub problem: String,
    /// What would have been right; may be empty.
    pub expected: String,
}

/// A snippet shows at most this many characters of a line.
const WIDTH: usize = 160;

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, source_line, problem, expected } = self;
        write!(f, "{}:{line}:{column}: {}", path.display(), masked(problem))?;
        // The mark stays below what it is about, whatever is left out in front of it.
        let mut characters = source_line.chars();
        let before = masked(&characters.by_ref().take(column.saturating_sub(1)).collect::<String>());
        let column = before.chars().count();
        let source_line = masked(&format!("{before}{}", characters.as_str()));
        let skipped = if column < WIDTH { 0 } else { column - WIDTH / 2 };
        let visible: String = source_line
            .chars()
            .skip(skipped)
            .take(WIDTH)
            .map(|c| if c == '\t' || !c.is_control() { c } else { char::REPLACEMENT_CHARACTER })
            .collect();

        let number = line.to_string();
        let margin = " ".repeat(number.len());
        write!(f, "\n{margin} |\n{number} | {visible}\n{margin} | ")?;
        for character in visible.chars().take(column - skipped) {
            f.write_str(if character == '\t' { "\t" } else { " " })?;
        }
        f.write_str("^")?;
        if !expected.is_empty() {
            write!(f, " {expected}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_points_at_its_place() {
        let error = ParseError {
            path: PathBuf::from("Containerfile"),
            line: 12,
            column: 9,
            source_line: "ENV\ta=1 foo".to_owned(),
            problem: "there is no `=` in `foo`".to_owned(),
            expected: "expected name=value".to_owned(),
        };
        assert_eq!(
            error.to_string(),
            "Containerfile:12:9: there is no `=` in `foo`\n   |\n12 | ENV\ta=1 foo\n   |    \t    ^ expected name=value"
        );
    }

    #[test]
    fn an_error_shows_no_password() {
        let error = ParseError {
            path: PathBuf::from("f"),
            line: 1,
            column: 24,
            source_line: "ADD https://u:secret@h/ x".to_owned(),
            problem: "https://u:secret@h/ is wrong".to_owned(),
            expected: String::new(),
        };
        assert_eq!(
            error.to_string(),
            "f:1:24: https://u:***@h/ is wrong\n  |\n1 | ADD https://u:***@h/ x\n  | ".to_owned()
                + &" ".repeat(20)
                + "^"
        );
    }

    #[test]
    fn a_place_far_out_in_a_long_line_is_shown_with_its_surroundings() {
        let error = ParseError {
            path: PathBuf::from("f"),
            line: 1,
            column: 1001,
            source_line: "x".repeat(5000),
            problem: "p".to_owned(),
            expected: String::new(),
        };
        let shown = error.to_string();
        let around = |number: usize| format!("f:1:{number}: p\n  |\n1 | {}\n  | ", "x".repeat(WIDTH));
        assert_eq!(shown, format!("{}{}^", around(1001), " ".repeat(WIDTH / 2)));
        // Up to the width the line is shown from its start.
        let at = |column| ParseError { column, ..error.clone() }.to_string();
        assert_eq!(at(WIDTH), format!("{}{}^", around(WIDTH), " ".repeat(WIDTH - 1)));
        assert_eq!(at(WIDTH + 1), format!("{}{}^", around(WIDTH + 1), " ".repeat(WIDTH / 2)));
    }
}
