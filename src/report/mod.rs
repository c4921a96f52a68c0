//! Draws what others have decided: progress, tables, JSON. Decides nothing.

pub mod filter;
mod live;
pub mod progress;
pub mod steps;
pub mod table;
pub mod template;

use std::io::{self, IsTerminal, Read, Write};

use anyhow::Context;
use serde::Serialize;

use crate::visible::{visible_file, visible_lines};

/// Nobody reads standard output any more: `podman-stagecache ls | head -1`.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub struct ClosedPipe;

/// Writes to standard output.
///
/// # Errors
/// [`ClosedPipe`] when nobody reads it any more, and when it cannot be written.
pub fn print(text: &str) -> anyhow::Result<()> {
    print_all(&mut text.as_bytes())
}

/// Says something on standard error; where nobody can hear it, nothing is said.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{}", visible_lines(text, "    "));
}

/// Writes a file's text to standard output: to a terminal with what that would obey written out, else as it is.
///
/// # Errors
/// As [`print`].
pub fn print_file(bytes: &[u8]) -> anyhow::Result<()> {
    match io::stdout().is_terminal() {
        true => print(&visible_file(bytes)),
        false => print_all(&mut &*bytes),
    }
}

/// Writes bytes to standard output, as they are.
///
/// # Errors
/// As [`print`].
pub fn print_all(from: &mut dyn Read) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match io::copy(from, &mut out).and_then(|_| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ClosedPipe.into()),
        written => written.context("writing to standard output"),
    }
}

/// Writes JSON for people and programs to standard output.
///
/// # Errors
/// As [`print`].
pub fn print_json<T: Serialize + ?Sized>(value: &T) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value).context("writing JSON")?;
    text.push('\n');
    print(&text)
}
