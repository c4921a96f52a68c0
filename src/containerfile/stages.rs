//! Groups the instructions of a Containerfile into its stages.
//!
//! References between stages are not resolved here, that is `graph`'s work.

use super::ast::{Containerfile, Instruction, Keyword};
use super::error::ParseError;
use super::parse::error_at;
use super::words;

/// The instructions of a file, grouped as buildah groups them (`NewStages` in imagebuilder 1.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStages<'a> {
    /// The ARG instructions before the first FROM, whatever stands between them.
    pub heading: Vec<&'a Instruction>,
    /// Other instructions before the first FROM.
    ///
    /// To buildah 1.28 they are a stage without a base at position 0: it shifts the positions of the
    /// stages behind it, and is skipped without a word where unused stages are skipped.
    pub before_from: Vec<&'a Instruction>,
    /// The stages in the order of the file; at least one.
    pub stages: Vec<FileStage<'a>>,
}

/// One stage of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStage<'a> {
    /// The number by which the file can refer to it.
    pub position: usize,
    /// Its FROM.
    pub from: &'a Instruction,
    /// The value of `--platform`, not expanded.
    pub platform: Option<String>,
    /// What follows FROM, not expanded.
    pub base: String,
    /// What follows AS, as written.
    pub alias: Option<String>,
    /// The instructions behind FROM.
    pub body: Vec<&'a Instruction>,
    /// The first and the last line.
    pub lines: (usize, usize),
}

impl Containerfile {
    /// The stages, or what the engines would refuse about them.
    pub fn stages(&self) -> Result<FileStages<'_>, ParseError> {
        let mut file = FileStages { heading: Vec::new(), before_from: Vec::new(), stages: Vec::new() };
        for instruction in self.instructions() {
            match (&instruction.keyword, file.stages.last_mut()) {
                (Keyword::From, _) => {
                    let position = file.stages.len() + usize::from(!file.before_from.is_empty());
                    file.stages.push(self.stage(instruction, position)?);
                }
                (_, Some(stage)) => {
                    stage.lines.1 = instruction.end_line;
                    stage.body.push(instruction);
                }
                (Keyword::Arg, None) => file.heading.push(instruction),
                (_, None) => file.before_from.push(instruction),
            }
        }
        if file.stages.is_empty() {
            return Err(self.without_from(&file));
        }
        Ok(file)
    }

    /// Refuses what stands before the first FROM and is no ARG, as 1.43 does: to older engines it is a stage without a
    /// base.
    pub(super) fn begins_with_from(&self) -> Result<(), ParseError> {
        let is_from = |instruction: &&Instruction| instruction.keyword == Keyword::From;
        if !self.instructions().any(|instruction| is_from(&instruction)) {
            return Ok(()); // for `stages` to say
        }
        let mut before = self.instructions().take_while(|instruction| !is_from(instruction));
        match before.find(|instruction| instruction.keyword != Keyword::Arg) {
            Some(first) => {
                let problem = format!("stage 1 requires a FROM instruction before {}", first.keyword);
                Err(self.error_in(first, problem, "only ARG may stand before FROM"))
            }
            None => Ok(()),
        }
    }

    fn stage<'a>(&self, from: &'a Instruction, position: usize) -> Result<FileStage<'a>, ParseError> {
        if let Some(flag) = from.flags.iter().find(|flag| flag.name != "platform" || flag.value.is_none()) {
            let problem = format!("FROM does not have the flag `{}`", flag.word());
            return Err(self.error_in(from, problem, "FROM supports --platform=VALUE only"));
        }
        let words = words::separated(&from.rest);
        let (base, alias) = match words.as_slice() {
            [base] => (base, None),
            [base, keyword, alias] if keyword.eq_ignore_ascii_case("as") => (base, Some(alias.clone())),
            _ => {
                let problem = "FROM requires either one argument, or three".to_owned();
                return Err(self.error_in(from, problem, "expected FROM <base> [AS <name>]"));
            }
        };
        Ok(FileStage {
            position,
            from,
            platform: from.flag("platform").and_then(|flag| flag.value.clone()),
            base: base.clone(),
            alias,
            body: Vec::new(),
            lines: (from.line, from.end_line),
        })
    }

    fn error_in(&self, instruction: &Instruction, problem: String, expected: &str) -> ParseError {
        error_at(&self.source, &self.path, instruction.span.start, problem, expected.to_owned())
    }

    fn without_from(&self, file: &FileStages<'_>) -> ParseError {
        let problem = if self.source.is_empty() {
            "the file is empty"
        } else if file.before_from.is_empty() {
            "the file has no stages to build"
        } else {
            "the file has no FROM"
        };
        let last = file.before_from.first().or(file.heading.last());
        let place = last.map_or(0, |instruction| instruction.span.start);
        error_at(
            &self.source,
            &self.path,
            place,
            problem.to_owned(),
            "expected FROM <base> [AS <name>]".to_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::ast::Dialect;
    use super::super::parse;
    use super::*;

    fn file(source: &str) -> Containerfile {
        parse(source.as_bytes().to_vec(), Path::new("f"), Dialect::Heredocs).unwrap()
    }

    #[test]
    fn a_stage_reaches_from_its_from_to_the_next() {
        let file = file(concat!(
            "ARG A=1\nARG B\nFROM --platform=$P base:$A aS Build\nRUN a \\\n b\n\n# c\n",
            "FROM Build\nFROM scratch as x\nRUN <<E\ny\nE\n"
        ));
        let found = file.stages().unwrap();
        assert_eq!(found.heading.len(), 2);
        let shown: Vec<_> = found
            .stages
            .iter()
            .map(|stage| {
                let FileStage { position, platform, base, alias, body, lines, .. } = stage;
                let (platform, alias) = (platform.as_deref().unwrap_or("-"), alias.as_deref().unwrap_or("-"));
                format!("{position} {platform} {base} {alias} {} {}..{}", body.len(), lines.0, lines.1)
            })
            .collect();
        assert_eq!(shown, ["0 $P base:$A Build 1 3..5", "1 - Build - 0 8..8", "2 - scratch x 1 9..12"]);
    }

    #[test]
    fn instructions_before_from_are_a_stage_that_no_one_can_build() {
        let file = file("ARG A\nENV a=1\nARG B\nFROM x\nFROM y\n");
        let found = file.stages().unwrap();
        assert_eq!((found.heading.len(), found.before_from.len()), (2, 1));
        assert_eq!(found.stages.iter().map(|stage| stage.position).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn what_is_no_stage_is_an_error_at_its_place() {
        for (source, expected) in [
            ("", "f:1:1: the file is empty"),
            ("# a\n", "f:1:1: the file has no stages to build"),
            ("# a\nARG x\n", "f:2:1: the file has no stages to build"),
            ("ARG x\nRUN a\nRUN b\n", "f:2:1: the file has no FROM"),
            ("FROM\n", "f:1:1: FROM requires either one argument, or three"),
            ("FROM a b\n", "f:1:1: FROM requires either one argument, or three"),
            ("FROM a AS\n", "f:1:1: FROM requires either one argument, or three"),
            ("FROM a\nFROM a AS b c\n", "f:2:1: FROM requires either one argument, or three"),
            ("FROM a on b\n", "f:1:1: FROM requires either one argument, or three"),
            ("FROM --platform a\n", "f:1:1: FROM does not have the flag `--platform`"),
            ("FROM --foo=1 a\n", "f:1:1: FROM does not have the flag `--foo=1`"),
        ] {
            let error = file(source).stages().unwrap_err().to_string();
            assert_eq!(error.lines().next(), Some(expected), "{source:?}");
        }
    }
}
