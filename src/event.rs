//! What happens during a build, as it happens: for the display and the record.

use crate::engine::EngineError;
use crate::image::ImageId;
use crate::key::StepKey;
use crate::process::OutputLine;
use crate::verdict::Verdict;
use crate::visible::visible;

/// A step of a build: stage and step by index.
pub type StepId = (usize, usize);

/// One event.
#[derive(Debug)]
pub enum Event {
    /// A step's verdict is final.
    Decided {
        /// The step.
        step: StepId,
        /// Its verdict.
        verdict: Verdict,
        /// Its key.
        key: StepKey,
        /// The image, for a hit.
        image: Option<ImageId>,
    },
    /// A step waits for another build.
    Waiting {
        /// The step.
        step: StepId,
        /// For what.
        what: String,
    },
    /// A step's engine call starts.
    Started {
        /// The step.
        step: StepId,
        /// When, RFC 3339.
        at: String,
    },
    /// The engine printed a line.
    Output {
        /// The step.
        step: StepId,
        /// The line.
        line: OutputLine,
    },
    /// A step's engine call ended well.
    Ran {
        /// The step.
        step: StepId,
        /// The image it left.
        image: ImageId,
        /// How long it took, in milliseconds.
        duration_ms: u64,
    },
    /// A stage is done.
    StageDone {
        /// The stage.
        stage: usize,
        /// The image that other stages stand on.
        tip: ImageId,
        /// The labelled image.
        leaf: ImageId,
        /// The name that the labelled image, or else the tip, has from us.
        name: Option<String>,
        /// The layers that it adds.
        diff_ids: Vec<String>,
    },
    /// A step failed.
    Failed {
        /// The step.
        step: StepId,
    },
    /// Something that does not fail the build.
    Warning(String),
}

/// An engine's failure in a line: its output was shown as it came.
fn brief(error: &EngineError) -> String {
    match error {
        EngineError::Failed { code, stderr, .. } if *code == 125 => {
            let last =
                stderr.lines().rev().find(|line| line.starts_with("Error: ")).or(stderr.lines().next_back());
            match last {
                Some(line) => line.trim_start_matches("Error: ").to_owned(),
                None => format!("exit status {code}"),
            }
        }
        EngineError::Failed { code, .. } => format!("exit status {code}"),
        other => other.to_string(),
    }
}

impl BuildFailure {
    /// Whether it may have come from an image that is no longer there; what a command of the user's says is none.
    pub fn can_be_a_loss(&self) -> bool {
        match self {
            Self::Step { error: EngineError::Failed { code, .. }, .. } => *code == 125,
            Self::Step { .. } | Self::Stage { .. } => true,
            Self::Interrupted => false,
        }
    }

    /// Whether the engine says that something it had made or found is gone.
    pub fn tells_a_loss(&self) -> bool {
        match self {
            Self::Step { error, .. } => error.tells_a_loss(),
            Self::Stage { error, .. } => {
                error.downcast_ref::<EngineError>().is_some_and(EngineError::tells_a_loss)
            }
            Self::Interrupted => false,
        }
    }
}

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildFailure {
    /// A step's engine call failed.
    #[error("stage {}, {place}: {title}: {}", visible(stage), brief(.error))]
    Step {
        /// The stage's name.
        stage: String,
        /// `line 7`, or `lines 7-9`.
        place: String,
        /// The instruction.
        title: String,
        /// What the engine said.
        error: EngineError,
    },
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
    /// Something else.
    #[error("stage {}: {error:#}", visible(stage))]
    Stage {
        /// The stage's name.
        stage: String,
        /// What.
        error: anyhow::Error,
    },
}
