//! Why an engine refuses an instruction when its step is reached.

use super::expand::ExpandError;

/// An instruction that the engine reads and then refuses; the texts are those of imagebuilder's
/// `dispatchers.go` where it has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstructionError {
    /// A word or flag cannot be expanded.
    #[error(transparent)]
    Expand(#[from] ExpandError),
    /// Variables without measure.
    #[error("the variables have more than 16 MiB of text together, which no command can be started with")]
    TooMuch,
    /// It has no arguments.
    #[error("{0} requires at least one argument")]
    AtLeastOne(&'static str),
    /// It has no argument, or more than one.
    #[error("{0} requires exactly one argument")]
    ExactlyOne(&'static str),
    /// SHELL in another form.
    #[error("{0} requires the arguments to be in JSON form")]
    NotJson(&'static str),
    /// No engine knows it.
    #[error("unknown instruction: {0:?}")]
    Unknown(String),
    /// It has a flag that the engine does not know for it.
    #[error("{keyword} does not have the flag `{flag}`")]
    Flag {
        /// The instruction.
        keyword: &'static str,
        /// The flag as written.
        flag: String,
    },
    /// A flag has a value of the wrong kind.
    #[error("the value of `{flag}` is not valid: {expected}")]
    FlagValue {
        /// The flag as written.
        flag: String,
        /// What is wrong.
        expected: &'static str,
    },
    /// STOPSIGNAL with something that is no signal.
    #[error("Invalid signal: {0}")]
    Signal(String),
    /// VOLUME with an empty path.
    #[error("Volume specified can not be an empty string")]
    EmptyVolume,
    /// HEALTHCHECK that is neither CMD nor NONE.
    #[error("Unknown type {0:?} in HEALTHCHECK (try CMD)")]
    HealthcheckType(String),
    /// HEALTHCHECK CMD alone.
    #[error("Missing command after HEALTHCHECK CMD")]
    HealthcheckCommand,
    /// HEALTHCHECK NONE with more words.
    #[error("HEALTHCHECK NONE takes no arguments")]
    HealthcheckNone,
    /// ONBUILD ONBUILD.
    #[error("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")]
    ChainedTrigger,
    /// ONBUILD FROM and ONBUILD MAINTAINER.
    #[error("{0} isn't allowed as an ONBUILD trigger")]
    Trigger(&'static str),
    /// ARG TARGETPLATFORM or BUILDPLATFORM with a value that cannot be one.
    #[error("attempted to redefine {0:?}")]
    Platform(String),
}
