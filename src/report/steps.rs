//! Stages and their steps as `plan` and `explain` draw them: a line a step, and below it all that is said of it.

use std::io::{self, IsTerminal};

use super::table::{duration, one_line};
use crate::visible::visible;

/// How wide an instruction may be.
const TITLE: usize = 64;

/// What is said about one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepLine {
    /// `cached`, `run`, ….
    pub word: &'static str,
    /// The instruction.
    pub title: String,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// Reasons.
    pub notes: Vec<String>,
}

/// What is said about one stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageBlock {
    /// Its name.
    pub name: String,
    /// `lines 2-5, FROM alpine`.
    pub about: String,
    /// What is said of the stage itself.
    pub notes: Vec<String>,
    /// Its steps.
    pub steps: Vec<StepLine>,
}

/// Draws stages; `colour` adds to the words and replaces none.
pub fn draw(blocks: &[StageBlock], colour: bool) -> String {
    let painted = |code: &str, text: &str| match colour {
        true if !code.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
        _ => text.to_owned(),
    };
    let all = || blocks.iter().flat_map(|block| &block.steps);
    let words = all().map(|step| step.word.len()).max().unwrap_or_default();
    let titles = all().map(|step| one_line(&step.title, TITLE).chars().count()).max().unwrap_or_default();
    let mut out = String::new();
    for block in blocks {
        let name = painted("1", &format!("stage {}", visible(&block.name)));
        out.push_str(&format!("{name} ({})\n", visible(&block.about)));
        for note in &block.notes {
            out.push_str(&format!("  {}\n", visible(note)));
        }
        let of = block.steps.len();
        let digits = of.to_string().len();
        for (n, step) in block.steps.iter().enumerate() {
            let title = one_line(&step.title, TITLE);
            let word = painted(code_of(step.word), &format!("{:words$}", step.word));
            let mut line = format!("  {:>digits$}/{of} {word}  {title}", n + 1);
            if let Some(milliseconds) = step.duration_ms {
                let gap = titles - title.chars().count() + 2;
                line.push_str(&format!("{:gap$}{:>7}", "", duration(milliseconds)));
            }
            out.push_str(line.trim_end());
            out.push('\n');
            let indent = 2 + digits * 2 + 2 + words + 2;
            for note in step.notes.iter().map(|note| visible(note)) {
                out.push_str(&format!("{:indent$}{}\n", "", painted("2", &format!("- {note}"))));
            }
        }
    }
    out
}

fn code_of(word: &str) -> &'static str {
    match word {
        "cached" | "same" => "32",
        "run" | "ran" | "differs" => "36",
        "open" | "new" | "gone" => "33",
        "failed" => "31",
        _ => "",
    }
}

/// Whether standard output shows colours.
pub fn colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `line 7`, `lines 7-9`.
pub fn place((first, last): (usize, usize)) -> String {
    if first == last { format!("line {first}") } else { format!("lines {first}-{last}") }
}

/// `1 step`, `2 steps`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_stand_in_columns_with_their_reasons_below() {
        let step = |word, title: &str, duration_ms, notes: &[&str]| StepLine {
            word,
            title: title.into(),
            duration_ms,
            notes: notes.iter().map(|note| (*note).to_owned()).collect(),
        };
        let block = StageBlock {
            name: "build".into(),
            about: "lines 2-5, FROM alpine".into(),
            notes: Vec::new(),
            steps: vec![
                step("cached", "COPY a /a", Some(420), &[]),
                step("run", "RUN x", Some(61_000), &["ARG V changed", "the step before it runs"]),
                step("run", "RUN y", None, &["first build of this step"]),
            ],
        };
        let expected = "\
stage build (lines 2-5, FROM alpine)
  1/3 cached  COPY a /a    0.42s
  2/3 run     RUN x        1m01s
              - ARG V changed
              - the step before it runs
  3/3 run     RUN y
              - first build of this step
";
        assert_eq!(draw(&[block], false), expected);
    }
}
