//! Containerfiles: read, kept to the byte, expanded.
mod ast;

pub use ast::{Containerfile, Dialect, Flag, Heredoc, Instruction, Keyword, Piece, Span};
