//! The program: reads the command line, dispatches, turns an error into an exit code.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::FromArgMatches;
use podman_stagecache::address::masked;
use podman_stagecache::cli::{self, BUILD_ALIASES, BUILD_GROUPS, Cli};
use podman_stagecache::cmd;
use podman_stagecache::engine::EngineError;
use podman_stagecache::event::BuildFailure;
use podman_stagecache::flags::{Leading, UnknownKind, parse_build, parse_leading};
use podman_stagecache::process;
use podman_stagecache::remote::git::GitFailed;
use podman_stagecache::report::{ClosedPipe, print};
use podman_stagecache::upkeep;
use podman_stagecache::visible::visible_lines;

/// Usage errors and everything that the engine or we refuse, as podman has it.
const REFUSED: u8 = 125;

fn main() -> ExitCode {
    clap_complete::CompleteEnv::with_factory(cli::command).complete();
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    // Without handlers a signal still ends us.
    let _ = process::watch_signals();
    let result = match args.split_first() {
        Some((word, rest)) if word == upkeep::WATCHER => cmd::watch::run(rest),
        _ => {
            upkeep::allow_watcher();
            run(&args)
        }
    };
    // Whatever came of it.
    if let Some(signal) = process::interrupted_by() {
        let _ = writeln!(std::io::stderr(), "Error: interrupted");
        return ExitCode::from(u8::try_from(128 + signal).unwrap_or(REFUSED));
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<ClosedPipe>() => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody hears it, the exit code still tells.
            let told = masked(&format!("{error:#}"));
            let _ = writeln!(std::io::stderr(), "Error: {}", visible_lines(&told, ""));
            ExitCode::from(exit_code(&error))
        }
    }
}

fn run(args: &[OsString]) -> anyhow::Result<()> {
    let leading = parse_leading(args)?;
    let rest = &args[leading.length..];
    if leading.has("version") {
        return print(&cli::command().render_version());
    }
    if leading.has("help") {
        return print(&cli::command().render_help().to_string());
    }
    let Some((command, behind)) = rest.split_first() else {
        anyhow::bail!("missing command; {}", commands());
    };
    match command.to_str().unwrap_or_default() {
        "build" => build(leading, behind),
        name if BUILD_ALIASES.contains(&name) => build(leading, behind),
        name if BUILD_GROUPS.contains(&name) => match behind.split_first() {
            Some((word, behind)) if word == "build" => build(leading, behind),
            _ => anyhow::bail!("`{name}` has one command here: {name} build; {}", commands()),
        },
        "plan" if asks_for_help(behind) => help_of("plan"),
        "plan" => cmd::plan::run(leading, behind),
        _ => other(leading, rest),
    }
}

fn build(leading: Leading, args: &[OsString]) -> anyhow::Result<()> {
    if asks_for_help(args) {
        return help_of("build");
    }
    cmd::build::run(leading, args)
}

/// Whether `--help` stands where it is a flag and not the value of one.
fn asks_for_help(args: &[OsString]) -> bool {
    parse_build(args, &|_| Some(UnknownKind::Bool)).is_ok_and(|flags| flags.bool("help") == Some(true))
}

fn help_of(name: &str) -> anyhow::Result<()> {
    let mut command = cli::command();
    command.build();
    match command.find_subcommand_mut(name) {
        Some(sub) => print(&sub.render_help().to_string()),
        None => Ok(()),
    }
}

fn other(leading: Leading, args: &[OsString]) -> anyhow::Result<()> {
    let command = args[0].to_string_lossy();
    let known =
        command == "help" || command.starts_with('-') || cli::command().find_subcommand(&*command).is_some();
    if !known {
        anyhow::bail!("unknown command `{command}`; {}", commands());
    }
    let words = std::iter::once(OsString::from("podman-stagecache")).chain(args.iter().cloned());
    let matches = match cli::command().try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => return print(&error.render().to_string()),
        Err(error) => {
            let text = error.render().to_string();
            anyhow::bail!("{}", text.strip_prefix("error: ").unwrap_or(&text).trim_end());
        }
    };
    match Cli::from_arg_matches(&matches)? {
        Cli::Ls(args) => cmd::ls::run(leading, &args),
        Cli::Inspect(args) => cmd::inspect::run(leading, &args),
        Cli::Explain(args) => cmd::explain::run(leading, &args),
        Cli::Prune(args) => cmd::prune::run(leading, &args),
        Cli::Completion(args) => cmd::completion::run(&args),
        Cli::Man(args) => cmd::man::run(&args),
        Cli::Version(args) => cmd::info::version(leading, &args),
        Cli::Info(args) => cmd::info::info(leading, &args),
    }
}

fn commands() -> String {
    let command = cli::command();
    let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    format!("the commands are {}; `podman-stagecache --help` says more", names.join(", "))
}

/// The exit code of a failing RUN is that command's own, and so is git's.
fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(failed) = error.downcast_ref::<GitFailed>() {
        return failed.code.and_then(|code| u8::try_from(code).ok()).unwrap_or(REFUSED);
    }
    match error.downcast_ref::<BuildFailure>() {
        Some(BuildFailure::Step { error: EngineError::Failed { code, .. }, .. }) => {
            u8::try_from(*code).unwrap_or(REFUSED)
        }
        _ => REFUSED,
    }
}
