//! `completion`: a shell's script, drawn from the commands as clap has them.

use std::fs;

use anyhow::Context;
use clap_complete::Shell;

use crate::cli::{CompletionArgs, command};
use crate::report::print;

/// Writes the script.
///
/// # Errors
/// When it cannot be written.
pub fn run(args: &CompletionArgs) -> anyhow::Result<()> {
    let script = script(args.shell)?;
    match &args.file {
        Some(path) => fs::write(path, script).with_context(|| format!("writing {}", path.display())),
        None => print(&script),
    }
}

/// The script of a shell.
///
/// # Errors
/// Never, unless the generator writes something that is not UTF-8.
pub fn script(shell: Shell) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut command(), "podman-stagecache", &mut bytes);
    String::from_utf8(bytes).context("drawing a completion script")
}

/// The file below `completions/` that a shell's script is kept in.
pub fn file_name(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => "podman-stagecache.bash",
        Shell::Zsh => "_podman-stagecache",
        Shell::Fish => "podman-stagecache.fish",
        Shell::Elvish => "podman-stagecache.elv",
        _ => "podman-stagecache.ps1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_scripts_in_the_repository_are_those_of_the_generator() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let path = folder.join(file_name(shell));
            let kept = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                kept == script(shell).unwrap(),
                "{} is old: podman-stagecache completion {shell} -f {0}",
                path.display()
            );
        }
    }
}
