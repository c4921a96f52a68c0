//! The program: parses the command line, dispatches, turns an error into an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use podman_stagecache::engine::EngineError;
use podman_stagecache::event::BuildFailure;
use podman_stagecache::flags::parse_leading;

/// Usage errors and everything that the engine or we refuse, as podman has it.
const REFUSED: u8 = 125;
/// Ended by the user: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}

fn run(args: &[OsString]) -> anyhow::Result<()> {
    let leading = parse_leading(args)?;
    let rest = &args[leading.length..];
    match rest.split_first() {
        Some((command, rest)) if command == "build" => podman_stagecache::cmd::build::run(leading, rest),
        _ => anyhow::bail!("unknown command"),
    }
}

/// The exit code of a failing RUN is that command's own.
fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<BuildFailure>() {
        Some(BuildFailure::Step { error: EngineError::Failed { code, .. }, .. }) => {
            u8::try_from(*code).unwrap_or(REFUSED)
        }
        Some(BuildFailure::Interrupted) => INTERRUPTED,
        _ => REFUSED,
    }
}
