//! Points at a word of an instruction, for errors that later modules find.

use super::ast::{Containerfile, Instruction};
use super::error::ParseError;
use super::parse::error_at;

impl Containerfile {
    /// An error at the first place where `word` stands in `instruction`, or at its start.
    pub fn point_at(
        &self,
        instruction: &Instruction,
        word: &str,
        problem: String,
        expected: String,
    ) -> ParseError {
        let text = self.text(instruction.span);
        let place = text
            .windows(word.len().max(1))
            .position(|window| window == word.as_bytes())
            .filter(|_| !word.is_empty())
            .unwrap_or_else(|| text.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(0));
        error_at(&self.source, &self.path, instruction.span.start + place, problem, expected)
    }
}
