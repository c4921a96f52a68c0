//! Cuts the bytes of a Containerfile into comments, blank lines and logical lines.
//!
//! Follows `Parse` in imagebuilder 1.2.3 (`dockerfile/parser/parser.go`), which buildah 1.28.2 uses, but
//! for one thing: there a line of 64 KiB or more ends the file without a word, here lines have no limit.

use super::ast::Span;
use super::text::leading_space;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A stretch of the file.
#[derive(Debug)]
pub(super) enum Lexeme {
    Bom(Span),
    Directive(Span),
    Comment(Span),
    Blank(Span),
    /// One instruction; the span ends behind the newline of its last line.
    Logical(LogicalLine),
}

/// The lines of one instruction, joined.
#[derive(Debug)]
pub(super) struct LogicalLine {
    pub(super) span: Span,
    pub(super) line: usize,
    pub(super) end_line: usize,
    pub(super) text: Vec<u8>,
}

/// What is wrong with an `# escape=` line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DirectiveError {
    Repeated,
    NotAnEscape,
}

/// One line of the file.
struct Line {
    /// Without the newline and the carriage return before it.
    content: Span,
    /// Where the next line starts.
    next: usize,
}

/// Reads the file from front to back.
pub(super) struct Lexer<'a> {
    source: &'a [u8],
    position: usize,
    /// The line at `position`, from 1.
    pub(super) line: usize,
    pub(super) escape: u8,
    escape_seen: bool,
    /// Whether directives can still come: only at the very top, before any other line.
    at_top: bool,
    /// Whether the run of `# name=value` comments at the top goes on.
    in_directives: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a [u8]) -> Self {
        Self {
            source,
            position: 0,
            line: 1,
            escape: b'\\',
            escape_seen: false,
            at_top: true,
            in_directives: true,
        }
    }

    /// The next piece, `None` at the end of the file.
    pub(super) fn next_lexeme(&mut self) -> Result<Option<Lexeme>, DirectiveError> {
        if self.position == 0 && self.source.starts_with(BYTE_ORDER_MARK) {
            self.position = BYTE_ORDER_MARK.len();
            return Ok(Some(Lexeme::Bom(Span { start: 0, end: self.position })));
        }
        let start = self.position;
        let Some(line) = self.peek_line() else {
            return Ok(None);
        };
        let content = self.bytes(line.content);
        let content = &content[leading_space(content)..];
        self.escape_directive(content)?;
        let comment = content.first() == Some(&b'#');
        let directive = comment && self.in_directives && is_directive(content);
        self.in_directives = directive;
        if content.is_empty() || comment {
            self.advance(&line);
            let span = Span { start, end: self.position };
            return Ok(Some(match (directive, comment) {
                (true, _) => Lexeme::Directive(span),
                (false, true) => Lexeme::Comment(span),
                (false, false) => Lexeme::Blank(span),
            }));
        }
        Ok(Some(Lexeme::Logical(self.logical_line())))
    }

    /// Reads the body of a heredoc up to its terminator, which is left out; `None` when there is none.
    pub(super) fn heredoc_body(&mut self, name: &str, chomp: bool) -> Option<Vec<u8>> {
        let start = self.position;
        while let Some(line) = self.peek_line() {
            let body = Span { start, end: self.position };
            self.advance(&line);
            let mut candidate = self.bytes(line.content);
            while let [rest @ .., b'\r'] = candidate {
                candidate = rest;
            }
            while let (true, [b'\t', rest @ ..]) = (chomp, candidate) {
                candidate = rest;
            }
            if candidate == name.as_bytes() {
                return Some(self.bytes(body).to_vec());
            }
        }
        None
    }

    /// Where the next piece starts.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    fn logical_line(&mut self) -> LogicalLine {
        let (start, first_line) = (self.position, self.line);
        let mut text = Vec::new();
        let mut end_line = first_line;
        while let Some(line) = self.peek_line() {
            let mut content = self.bytes(line.content);
            let indent = leading_space(content);
            if self.position == start {
                content = &content[indent..];
            } else if matches!(content.get(indent), None | Some(b'#')) {
                end_line = self.line;
                self.advance(&line);
                continue;
            }
            end_line = self.line;
            self.advance(&line);
            let continued = before_continuation(content, self.escape);
            text.extend_from_slice(continued.unwrap_or(content));
            if continued.is_none() {
                break;
            }
        }
        LogicalLine { span: Span { start, end: self.position }, line: first_line, end_line, text }
    }

    fn bytes(&self, span: Span) -> &'a [u8] {
        &self.source[span.start..span.end]
    }

    fn peek_line(&self) -> Option<Line> {
        let start = self.position;
        let rest = self.source.get(start..).filter(|rest| !rest.is_empty())?;
        let newline = rest.iter().position(|&byte| byte == b'\n');
        let mut end = start + newline.unwrap_or(rest.len());
        let next = newline.map_or(end, |_| end + 1);
        if end > start && self.source[end - 1] == b'\r' {
            end -= 1;
        }
        Some(Line { content: Span { start, end }, next })
    }

    fn advance(&mut self, line: &Line) {
        self.position = line.next;
        self.line += 1;
    }

    /// Takes an `# escape=` directive; any other line, a blank one too, ends the time for them.
    fn escape_directive(&mut self, content: &[u8]) -> Result<(), DirectiveError> {
        if !self.at_top {
            return Ok(());
        }
        let Some(escape) = directive_value(content, b"escape") else {
            self.at_top = false;
            return Ok(());
        };
        if std::mem::replace(&mut self.escape_seen, true) {
            return Err(DirectiveError::Repeated);
        }
        match escape {
            b'\\' | b'`' => self.escape = escape,
            _ => return Err(DirectiveError::NotAnEscape),
        }
        Ok(())
    }
}

/// The content before a continuation character at its end, white space behind that not counting.
fn before_continuation(content: &[u8], escape: u8) -> Option<&[u8]> {
    let blanks = content.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    content[..content.len() - blanks].strip_suffix(&[escape])
}

/// The first character of the value of `# name = value`; of white space alone its last character.
fn directive_value(content: &[u8], name: &[u8]) -> Option<u8> {
    let (found, value) = directive(content)?;
    if !found.eq_ignore_ascii_case(name) {
        return None;
    }
    let first = value.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    first.or(value.last()).copied()
}

fn is_directive(content: &[u8]) -> bool {
    directive(content).is_some_and(|(name, _)| {
        [&b"syntax"[..], b"escape", b"check", b"platform"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    })
}

/// A comment of the form `# name = value`.
fn directive(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = content.strip_prefix(b"#")?;
    let equals = text.iter().position(|&byte| byte == b'=')?;
    Some((text[..equals].trim_ascii(), &text[equals + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logical_lines(source: &str) -> Vec<String> {
        let mut lexer = Lexer::new(source.as_bytes());
        let mut lines = Vec::new();
        while let Some(lexeme) = lexer.next_lexeme().unwrap() {
            if let Lexeme::Logical(line) = lexeme {
                lines.push(String::from_utf8(line.text).unwrap());
            }
        }
        lines
    }

    #[test]
    fn directives_stand_at_the_top_and_everything_else_is_a_comment() {
        let kinds = |source: &str| {
            let mut lexer = Lexer::new(source.as_bytes());
            let mut kinds = String::new();
            while let Some(lexeme) = lexer.next_lexeme().unwrap() {
                kinds.push(match lexeme {
                    Lexeme::Bom(_) => 'M',
                    Lexeme::Directive(_) => 'D',
                    Lexeme::Comment(_) => 'C',
                    Lexeme::Blank(_) => 'B',
                    Lexeme::Logical(_) => 'L',
                });
            }
            kinds
        };
        assert_eq!(kinds("\u{feff}# syntax=x\n#Check = y\n# a=b\n# syntax=x\n\nRUN a\n"), "MDDCCBL");
        assert_eq!(kinds("# a comment\n# syntax=x\nRUN a\n# check=x\n"), "CCLC");
        assert_eq!(kinds("\n# syntax=x\n"), "BC");
    }

    #[test]
    fn lines_are_joined_as_the_engines_join_them() {
        for (source, expected) in [
            ("RUN a \\\n  b\n", vec!["RUN a   b"]),
            ("RUN a \\  \t\nb", vec!["RUN a b"]),
            ("RUN a \\\r\nb\r\n", vec!["RUN a b"]),
            ("RUN a \\\n# comment\n  # another\n\n  \nb\n", vec!["RUN a b"]),
            ("RUN a \\\n  # comment \\\nb\n", vec!["RUN a b"]),
            ("RUN a \\\\\nb\n", vec!["RUN a \\b"]),
            ("RUN a # no comment\n", vec!["RUN a # no comment"]),
            ("  RUN a  \n", vec!["RUN a  "]),
            ("\\\nRUN a\n", vec!["RUN a"]),
            ("\\", vec![""]),
            ("RUN a \\\n\nRUN b\n", vec!["RUN a RUN b"]),
            ("\u{feff}RUN a\n", vec!["RUN a"]),
            ("# escape=`\nRUN a `\n b \\\nRUN c", vec!["RUN a  b \\", "RUN c"]),
            ("#ESCAPE = `\nRUN a `\nb", vec!["RUN a b"]),
            ("\n# escape=`\nRUN a `\nRUN b", vec!["RUN a `", "RUN b"]),
            ("# syntax=x\n# escape=`\nRUN a `\nRUN b", vec!["RUN a `", "RUN b"]),
            ("# escape=\\\nRUN a \\\nb", vec!["RUN a b"]),
            ("RUN a\r\r\nRUN b\rc", vec!["RUN a\r", "RUN b\rc"]),
        ] {
            assert_eq!(logical_lines(source), expected, "{source:?}");
        }
    }

    #[test]
    fn a_wrong_escape_directive_is_an_error() {
        for (source, expected) in [
            ("# escape=x\n", DirectiveError::NotAnEscape),
            ("# escape= \t\n", DirectiveError::NotAnEscape),
            ("# escape=`\n# escape=`\n", DirectiveError::Repeated),
        ] {
            let mut lexer = Lexer::new(source.as_bytes());
            let error = loop {
                match lexer.next_lexeme() {
                    Ok(lexeme) => assert!(lexeme.is_some(), "{source:?} was accepted"),
                    Err(error) => break error,
                }
            };
            assert_eq!(error, expected, "{source:?}");
        }
    }

    #[test]
    fn a_line_longer_than_a_scanner_buffer_is_whole() {
        let source = format!("RUN echo {}\nRUN b\n", "x".repeat(1 << 17));
        assert_eq!(logical_lines(&source).iter().map(String::len).collect::<Vec<_>>(), [9 + (1 << 17), 5]);
    }
}
