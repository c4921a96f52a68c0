//! Whether a step runs, and all the reasons: data that is decided once and shown anywhere.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::image::ImageId;
use crate::key::{Change, excerpt};

/// The decision on one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Its result is there.
    Hit {
        /// By which key it was found.
        by: FoundBy,
    },
    /// It runs.
    Miss {
        /// All reasons, the first cause first.
        reasons: Vec<Reason>,
    },
    /// It is told when another stage's bytes are there.
    Open {
        /// Why its result by definition is not there.
        reasons: Vec<Reason>,
    },
}

/// How a result was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// Its inputs are by definition those of an earlier step.
    Definition,
    /// Other stages ran again and produced the same bytes.
    Content,
}

/// Why a step runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// Nothing like it was built before.
    FirstBuild,
    /// An input is another than last time.
    Changed(Change),
    /// The step before it runs.
    StepBefore,
    /// A stage whose bytes it takes runs.
    StageRuns {
        /// The stage's name.
        stage: String,
        /// The first cause in that stage.
        cause: String,
    },
    /// Its image is no longer in the storage.
    ImageGone {
        /// The image that was there.
        image: ImageId,
    },
    /// What it was made of was run again since.
    Outdated {
        /// `the step before it`, `stage planner`.
        of: String,
    },
    /// A step before it, which runs, may write what it reads of this machine.
    MayBeWritten {
        /// `stage build, line 3`.
        by: String,
    },
    /// What it wrote to this machine is gone or another by now, and an instruction behind it takes that.
    Wanted {
        /// The instruction.
        taker: String,
    },
    /// `--no-cache`.
    NoCache,
    /// `--no-cache-filter` names the stage.
    NoCacheFilter,
    /// Its result is older than `--cache-ttl`.
    Expired {
        /// Its age, for people.
        age: String,
    },
    /// Something in it cannot be keyed.
    Always {
        /// What.
        why: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::FirstBuild => f.write_str("first build of this step"),
            Reason::Changed(change) => change.fmt(f),
            Reason::StepBefore => f.write_str("the step before it runs"),
            Reason::StageRuns { stage, cause } if cause.is_empty() => write!(f, "stage {stage} runs"),
            Reason::StageRuns { stage, cause } => write!(f, "stage {stage} runs ({cause})"),
            Reason::ImageGone { image } => write!(f, "image {} removed from storage", image.short()),
            Reason::Outdated { of } => write!(f, "{of} ran again since it was made"),
            Reason::MayBeWritten { by } => write!(f, "{by} may write what it reads"),
            Reason::Wanted { taker } => {
                write!(f, "what it wrote for {} is not there any more", excerpt(taker, 0))
            }
            Reason::NoCache => f.write_str("--no-cache"),
            Reason::NoCacheFilter => f.write_str("--no-cache-filter"),
            Reason::Expired { age } => write!(f, "older than --cache-ttl ({age})"),
            Reason::Always { why } => write!(f, "always runs: {why}"),
        }
    }
}

impl Verdict {
    /// Whether the step does not run.
    pub fn is_hit(&self) -> bool {
        matches!(self, Verdict::Hit { .. })
    }

    /// The reasons of a miss.
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Verdict::Hit { .. } => &[],
            Verdict::Miss { reasons } | Verdict::Open { reasons } => reasons,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, reasons) = match self {
            Verdict::Hit { by: FoundBy::Definition } => return f.write_str("cached"),
            Verdict::Hit { by: FoundBy::Content } => return f.write_str("cached (same bytes)"),
            Verdict::Miss { reasons } => ("run", reasons),
            Verdict::Open { reasons } => ("run unless the bytes are the same", reasons),
        };
        let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        write!(f, "{word}: {}", reasons.join("; "))
    }
}

#[cfg(test)]
pub mod examples {
    //! Every verdict there is, for tests that hold formats to them.

    use super::*;

    /// Every verdict with every reason.
    pub fn verdicts() -> Vec<Verdict> {
        let text = || ("old".to_owned(), "new".to_owned());
        let pair = |make: fn(String, String) -> Change| {
            let (old, new) = text();
            make(old, new)
        };
        let changes = vec![
            Change::KeyFormat { old: 1, new: 2 },
            pair(|old, new| Change::Platform { old, new }),
            pair(|old, new| Change::Mode { old, new }),
            pair(|old, new| Change::Base { old, new }),
            Change::Parent,
            pair(|old, new| Change::Instruction { old, new }),
            pair(|old, new| Change::Expansion { old, new }),
            Change::Arg { name: "V".into(), how: "changed".into() },
            Change::Files { instruction: "COPY a".into(), summary: "a modified".into() },
            Change::Bytes { from: "stage a".into() },
            Change::Remote { url: "https://example.org".into() },
            Change::Flag { name: "network".into(), old: String::new(), new: "none".into() },
        ];
        let mut reasons: Vec<Reason> = changes.into_iter().map(Reason::Changed).collect();
        reasons.extend([
            Reason::FirstBuild,
            Reason::StepBefore,
            Reason::StageRuns { stage: "a".into(), cause: "b".into() },
            Reason::ImageGone { image: ImageId::parse(&"a".repeat(64)).unwrap() },
            Reason::Outdated { of: "stage a".into() },
            Reason::MayBeWritten { by: "stage a, line 2".into() },
            Reason::Wanted { taker: "COPY a b".into() },
            Reason::NoCache,
            Reason::NoCacheFilter,
            Reason::Expired { age: "1h".into() },
            Reason::Always { why: "x".into() },
        ]);
        vec![
            Verdict::Hit { by: FoundBy::Definition },
            Verdict::Hit { by: FoundBy::Content },
            Verdict::Miss { reasons: reasons.clone() },
            Verdict::Open { reasons },
        ]
    }
}
