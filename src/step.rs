//! Cuts a stage into steps: one instruction that changes the filesystem, with the metadata before it.
//!
//! What stands behind the last such instruction is the stage's tail. ONBUILD never enters a step: in
//! docker format the FROM of the next step would fire it.

use crate::containerfile::{Instruction, Keyword};

/// A stage, cut. Numbers are indices into the stage's instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The steps; each ends with the instruction that changes the filesystem, except in squashed mode.
    pub steps: Vec<Vec<usize>>,
    /// Metadata behind the last step, and every ONBUILD.
    pub tail: Vec<usize>,
}

/// Cuts `instructions` one layer a step, or all of them into one step.
pub fn cut(instructions: &[Instruction], layers: bool) -> Cut {
    if !layers {
        let all: Vec<usize> = (0..instructions.len()).collect();
        let steps = if all.is_empty() { Vec::new() } else { vec![all] };
        return Cut { steps, tail: Vec::new() };
    }
    let mut cut = Cut { steps: Vec::new(), tail: Vec::new() };
    let mut pending = Vec::new();
    let mut triggers = Vec::new();
    for (index, instruction) in instructions.iter().enumerate() {
        match &instruction.keyword {
            Keyword::Onbuild => triggers.push(index),
            // An unknown word fails in the engine, in its own step and with its own message.
            Keyword::Unknown(_) => {
                pending.push(index);
                cut.steps.push(std::mem::take(&mut pending));
            }
            _ => {
                pending.push(index);
                if instruction.is_filesystem() {
                    cut.steps.push(std::mem::take(&mut pending));
                }
            }
        }
    }
    cut.tail = triggers;
    cut.tail.extend(pending);
    cut.tail.sort_unstable();
    cut
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::containerfile::{Dialect, parse};

    fn cut_of(body: &str, layers: bool) -> Cut {
        let file =
            parse(format!("FROM a\n{body}").into_bytes(), Path::new("Containerfile"), Dialect::Heredocs)
                .unwrap();
        let stages = file.stages().unwrap();
        let body: Vec<Instruction> = stages.stages[0].body.iter().map(|i| (*i).clone()).collect();
        cut(&body, layers)
    }

    #[test]
    fn metadata_belongs_to_the_step_behind_it_and_the_rest_is_the_tail() {
        assert_eq!(
            cut_of("ENV A=1\nRUN x\nCOPY a b\nWORKDIR /w\nADD c d\nCMD x\nLABEL a=b\n", true),
            Cut { steps: vec![vec![0, 1], vec![2], vec![3, 4]], tail: vec![5, 6] }
        );
    }

    #[test]
    fn onbuild_never_enters_a_step() {
        assert_eq!(
            cut_of("ONBUILD RUN x\nENV A=1\nRUN y\n", true),
            Cut { steps: vec![vec![1, 2]], tail: vec![0] }
        );
    }

    #[test]
    fn an_unknown_word_is_a_step_for_the_engine_to_refuse() {
        assert_eq!(
            cut_of("ENV A=1\nFOO x\nRUN y\nCMD z\n", true),
            Cut { steps: vec![vec![0, 1], vec![2]], tail: vec![3] }
        );
    }

    #[test]
    fn a_squashed_stage_is_one_step() {
        assert_eq!(
            cut_of("ONBUILD RUN x\nRUN y\nCMD z\n", false),
            Cut { steps: vec![vec![0, 1, 2]], tail: vec![] }
        );
    }

    #[test]
    fn a_stage_without_instructions_has_no_steps() {
        for layers in [true, false] {
            assert_eq!(cut_of("", layers), Cut { steps: vec![], tail: vec![] });
        }
    }
}
