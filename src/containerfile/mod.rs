//! Containerfiles: read, kept to the byte, expanded.
//!
//! `lex` cuts the bytes into logical lines, `heredoc` and `words` read one line, `parse` puts the
//! [`Containerfile`] together, `stages` groups its instructions. All of it reads as buildah reads.

mod ast;
mod environment;
mod error;
mod expand;
mod heredoc;
mod instruction;
mod lex;
mod parse;
mod pattern;
mod platform;
mod point;
mod refusal;
mod rules;
mod scope;
mod shared_map;
mod stages;
mod text;
mod words;

pub use ast::{Containerfile, Dialect, Flag, Heredoc, Instruction, Keyword, Piece, Span};
pub use environment::Environment;
pub use error::ParseError;
pub use expand::{ExpandError, Expansion, Lookup, expand_word, expand_words, expands_flags, expansion};
pub use parse::{parse, read, read_several};
pub use platform::Platform;
pub use refusal::InstructionError;
pub use rules::Rules;
pub(crate) use scope::clean_path;
pub use scope::{BuildArgs, DEFAULT_PATH, Expanded, PREDEFINED_ARGS, Scope, StageBase};
pub use stages::{FileStage, FileStages};
pub(crate) use text::decode;
