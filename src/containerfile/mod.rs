//! Containerfiles: read, kept to the byte, expanded.
//!
//! `lex` cuts the bytes into logical lines, `heredoc` and `words` read one line, `parse` puts the
//! [`Containerfile`] together, `stages` groups its instructions. All of it reads as buildah reads.

mod ast;
mod error;
mod expand;
mod heredoc;
mod instruction;
mod lex;
mod parse;
mod pattern;
mod point;
mod rules;
mod stages;
mod text;
mod words;

pub use ast::{Containerfile, Dialect, Flag, Heredoc, Instruction, Keyword, Piece, Span};
pub use error::ParseError;
pub use expand::{
    ExpandError, Expansion, Lookup, expand_word, expand_words, expands_flags, expansion,
};
pub use parse::parse;
pub use rules::Rules;
pub use stages::{FileStage, FileStages};
