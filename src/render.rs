//! Renders one step as a Containerfile of its own.
//!
//! Every rule about the text that an engine gets is here: what is declared again, where an injected `LABEL`
//! stands, which names are rewritten. Running it is `engine`'s work.

use std::borrow::Cow;

/// Longest line that is handed over unfolded: buildah 1.28 drops the rest of a file behind a line of 64 KiB and
/// exits with 0 (facts, 'Parser').
const LONGEST_LINE: usize = 48 * 1024;

/// An ARG that was declared further up and is still in scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopedArg {
    /// Its name.
    pub name: String,
    /// Its value, where it has to stand in the text because the step declares the same name again with another
    /// default; else it travels as a `--build-arg`.
    pub literal: Option<String>,
}

/// A name in `--from=` or `from=` that the engine has to see otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The name as written.
    pub written: String,
    /// The name of the build context that takes its place.
    pub context: String,
}

/// One instruction of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepInstruction<'a> {
    /// Its bytes as in the file, heredocs included.
    pub text: Cow<'a, [u8]>,
    /// Names to be rewritten in it.
    pub renames: Vec<Rename>,
    /// Whether heredoc bodies stand in it, which are not folded.
    pub has_heredoc: bool,
}

/// What one call builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepText<'a> {
    /// The image id, or `scratch`.
    pub from: &'a str,
    /// The file's escape character.
    pub escape: u8,
    /// The file's line end.
    pub newline: &'a str,
    /// Stages in front of the step, as name and image: what a cache mount is filled from has to be a stage (1.28
    /// finds no build context there).
    pub stages: Vec<(String, String)>,
    /// The LABEL instruction of a squashed stage, where one is injected.
    pub label: Option<&'a str>,
    /// ARGs in scope.
    pub args: Vec<ScopedArg>,
    /// The SHELL in force, where the image before does not keep it.
    pub shell: Option<&'a [String]>,
    /// The step's instructions.
    pub instructions: Vec<StepInstruction<'a>>,
}

impl StepText<'_> {
    /// The Containerfile.
    pub fn render(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut line = |text: &str| {
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(self.newline.as_bytes());
        };
        if self.escape != b'\\' {
            line(&format!("# escape={}", self.escape as char));
        }
        for (name, image) in &self.stages {
            line(&format!("FROM {image} AS {name}"));
        }
        line(&format!("FROM {}", self.from));
        if let Some(label) = self.label {
            line(label);
        }
        for arg in &self.args {
            match &arg.literal {
                Some(value) => line(&format!("ARG {}={}", arg.name, quoted(value, self.escape))),
                None => line(&format!("ARG {}", arg.name)),
            }
        }
        if let Some(shell) = self.shell {
            line(&format!("SHELL {}", serde_json::json!(shell)));
        }
        for instruction in &self.instructions {
            let mut text = renamed(&instruction.text, &instruction.renames);
            if !instruction.has_heredoc {
                text = folded(text, self.escape, self.newline);
            }
            out.extend_from_slice(&text);
            if !text.ends_with(b"\n") {
                // At the end of a file a continuation continues nothing; here it would take the next line.
                while out.last() == Some(&self.escape) {
                    out.pop();
                }
                out.extend_from_slice(self.newline.as_bytes());
            }
        }
        out
    }
}

/// The LABEL instruction that carries these labels, as upstream writes it: every key and value quoted.
pub fn label_instruction(labels: &[(String, String)], escape: u8) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(k, v)| format!("{}={}", quoted(k, escape), quoted(v, escape))).collect();
    format!("LABEL {}", pairs.join(" "))
}

/// A word in double quotes that expands to exactly this text.
fn quoted(text: &str, escape: u8) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        if character == '"' || character == '$' || character as u32 == u32::from(escape) {
            out.push(escape as char);
        }
        out.push(character);
    }
    out.push('"');
    out
}

/// Replaces `from=<written>` by `from=<context>` in `--from` flags and mounts.
fn renamed<'t>(text: &'t [u8], renames: &[Rename]) -> Cow<'t, [u8]> {
    let mut text = Cow::Borrowed(text);
    for rename in renames {
        let needle = format!("from={}", rename.written).into_bytes();
        let mut out = Vec::with_capacity(text.len());
        let mut rest: &[u8] = &text;
        while let Some(at) = rest.windows(needle.len()).position(|window| window == needle) {
            let behind = rest.get(at + needle.len());
            let ends = behind.is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b',' | b'"' | b'\''));
            out.extend_from_slice(&rest[..at]);
            if ends {
                out.extend_from_slice(b"from=");
                out.extend_from_slice(rename.context.as_bytes());
            } else {
                out.extend_from_slice(&needle);
            }
            rest = &rest[at + needle.len()..];
        }
        out.extend_from_slice(rest);
        text = Cow::Owned(out);
    }
    text
}

/// The history text of a step with the names as written put back.
pub fn renamed_back(created_by: &str, renames: &[Rename]) -> String {
    renames.iter().fold(created_by.to_owned(), |text, rename| {
        text.replace(&format!("from={}", rename.context), &format!("from={}", rename.written))
    })
}

/// Breaks overlong lines by continuations where nothing changes: not before white space or `#`, not behind an
/// escape, not inside a character.
fn folded<'t>(text: Cow<'t, [u8]>, escape: u8, newline: &str) -> Cow<'t, [u8]> {
    if text.split(|b| *b == b'\n').all(|line| line.len() <= LONGEST_LINE) {
        return text;
    }
    let mut out = Vec::with_capacity(text.len() + text.len() / LONGEST_LINE * 4);
    for line in text.split_inclusive(|b| *b == b'\n') {
        let comment = line.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'#');
        let mut rest = line;
        while rest.len() > LONGEST_LINE && !comment {
            let fits = |at: usize| {
                let (before, behind) = (rest[at - 1], rest[at]);
                !(before == escape
                    || behind == escape
                    || behind == b'#'
                    || before.is_ascii_whitespace()
                    || behind.is_ascii_whitespace()
                    || behind & 0xc0 == 0x80)
            };
            let Some(at) = (LONGEST_LINE / 2..LONGEST_LINE).rev().find(|at| fits(*at)) else { break };
            out.extend_from_slice(&rest[..at]);
            out.push(escape);
            out.extend_from_slice(newline.as_bytes());
            rest = &rest[at..];
        }
        out.extend_from_slice(rest);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(instructions: &[&'a str]) -> StepText<'a> {
        StepText {
            from: "scratch",
            escape: b'\\',
            newline: "\n",
            stages: Vec::new(),
            label: None,
            args: Vec::new(),
            shell: None,
            instructions: instructions
                .iter()
                .map(|i| StepInstruction {
                    text: Cow::Borrowed(i.as_bytes()),
                    renames: Vec::new(),
                    has_heredoc: false,
                })
                .collect(),
        }
    }

    fn rendered(text: &StepText<'_>) -> String {
        String::from_utf8(text.render()).unwrap()
    }

    #[test]
    fn a_step_stands_on_the_image_before_with_its_args_and_shell_declared_again() {
        let shell = ["/bin/ash".to_owned(), "-c".to_owned()];
        let step = StepText {
            from: "0123",
            args: vec![
                ScopedArg { name: "A".into(), literal: None },
                ScopedArg { name: "B".into(), literal: Some("x\"$\\".into()) },
            ],
            shell: Some(&shell),
            ..text(&["ENV A=1 \\\n  B=2\n", "RUN x"])
        };
        assert_eq!(
            rendered(&step),
            "FROM 0123\nARG A\nARG B=\"x\\\"\\$\\\\\"\nSHELL [\"/bin/ash\",\"-c\"]\nENV A=1 \\\n  B=2\nRUN x\n"
        );
    }

    #[test]
    fn a_label_stands_first_and_a_backtick_escape_is_declared() {
        let label = label_instruction(&[("io.buildah.stage.name".into(), "a`b".into())], b'`');
        let step = StepText { escape: b'`', label: Some(&label), ..text(&["RUN x\n"]) };
        assert_eq!(
            rendered(&step),
            "# escape=`\nFROM scratch\nLABEL \"io.buildah.stage.name\"=\"a``b\"\nRUN x\n"
        );
    }

    #[test]
    fn a_file_that_ends_in_a_continuation_does_not_swallow_what_follows() {
        assert_eq!(rendered(&text(&["RUN x \\"])), "FROM scratch\nRUN x \n");
        assert_eq!(rendered(&text(&["RUN x \\\\"])), "FROM scratch\nRUN x \n");
    }

    #[test]
    fn numbers_of_stages_become_names_and_come_back_in_the_history() {
        let renames = vec![Rename { written: "0".into(), context: "stagecache-0".into() }];
        let mut step = text(&["RUN --mount=type=bind,from=0,target=/m --mount=from=01 cp from=0x /m\n"]);
        step.instructions[0].renames = renames.clone();
        let expected = "RUN --mount=type=bind,from=stagecache-0,target=/m --mount=from=01 cp from=0x /m\n";
        assert_eq!(rendered(&step), format!("FROM scratch\n{expected}"));
        assert_eq!(renamed_back("from=stagecache-0,x", &renames), "from=0,x");
    }

    #[test]
    fn long_lines_are_folded_without_changing_what_they_say() {
        let long = format!("RUN echo {}\n", "ab cd#".repeat(20_000));
        let folded = rendered(&text(&[&long]));
        assert!(folded.lines().all(|line| line.len() < 64 * 1024));
        assert_eq!(folded.replace("\\\n", ""), format!("FROM scratch\n{long}"));
        let without_newline = long.trim_end();
        assert_eq!(rendered(&text(&[without_newline])), folded);
    }

    #[test]
    fn a_long_line_is_folded_where_both_sides_are_plain() {
        // Where the first fold is, with these bytes in front of the last place where it may be.
        let fold = |bytes: &str| {
            let front = "a".repeat(LONGEST_LINE - bytes.len());
            let folded = rendered(&text(&[&format!("{front}{bytes}{}", "a".repeat(LONGEST_LINE / 2))]));
            let first = folded.lines().nth(1).unwrap();
            first.strip_suffix('\\').map(|first| LONGEST_LINE - first.len())
        };
        for (bytes, expected) in
            [("a", 1), (" ", 2), (" a", 3), ("\t", 2), ("#", 2), ("#a", 1), ("\\", 2), ("\\a", 3), ("é", 2)]
        {
            assert_eq!(fold(bytes), Some(expected), "{bytes:?}");
        }
        // There is no such place in its second half.
        let blanks = " ".repeat(LONGEST_LINE);
        let whole = format!("RUN a{blanks}b\n");
        assert_eq!(rendered(&text(&[&whole])), format!("FROM scratch\n{whole}"));
        // As long as a line may be, beside one that is longer.
        let fits = format!("{}\\\n", "a".repeat(LONGEST_LINE - 2));
        let folded = rendered(&text(&[&format!("{fits}{}\n", "b".repeat(LONGEST_LINE + 1))]));
        assert_eq!(folded.lines().nth(1), fits.lines().next());
    }

    #[test]
    fn lines_that_the_engines_read_whole_and_comments_are_not_folded() {
        let word = "x".repeat(40 * 1024);
        let comment = "y".repeat(80 * 1024);
        for whole in [format!("RUN echo {word}\n"), format!("RUN a \\\n  # {comment}\n  b\n")] {
            assert_eq!(rendered(&text(&[&whole])), format!("FROM scratch\n{whole}"));
        }
    }
}
