//! `man`: a page for the program and one for each command, drawn from the commands as clap has them.

use std::fs;
use std::path::Path;

use anyhow::Context;
use clap::Command;

use crate::cli::{ManArgs, command};
use crate::report::print;

/// Writes the pages.
///
/// # Errors
/// When one cannot be written.
pub fn run(args: &ManArgs) -> anyhow::Result<()> {
    if args.folder == Path::new("-") {
        return print(&String::from_utf8_lossy(&page(command())?));
    }
    fs::create_dir_all(&args.folder).with_context(|| format!("making {}", args.folder.display()))?;
    for (name, page) in pages()? {
        let path = args.folder.join(name);
        fs::write(&path, page).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// The pages by file name.
///
/// # Errors
/// When a page cannot be drawn.
pub fn pages() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut program = command();
    program.build();
    let mut pages = Vec::new();
    for sub in program.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let name = format!("podman-stagecache-{}", sub.get_name());
        // A page is named after the command line with dashes, as git's and podman's are.
        let sub =
            sub.clone().name(name.clone()).display_name(name.clone()).version(env!("CARGO_PKG_VERSION"));
        pages.push((format!("{name}.1"), page(sub)?));
    }
    pages.insert(0, ("podman-stagecache.1".into(), page(command())?));
    Ok(pages)
}

fn page(command: Command) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command).render(&mut bytes).context("drawing a man page")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_the_program_and_for_each_command() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["podman-stagecache.1", "podman-stagecache-build.1", "podman-stagecache-prune.1"] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
        assert_eq!(names.len(), command().get_subcommands().count() + 1);
        let build = String::from_utf8_lossy(&pages[1].1);
        assert!(build.contains("stage\\-labels") && build.contains("podman\\-stagecache\\-build"));
    }
}
