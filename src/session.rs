//! The engine and the store that a command works with, from the flags in front of it.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;

use crate::engine::{self, CliEngine, Engine, EngineKind};
use crate::shelf::Shelf;
use crate::store::{Store, make_state_folder, state_folder};

/// An engine with the store of its storage.
pub struct Session {
    /// The engine.
    pub engine: Box<dyn Engine>,
    /// What is kept for its storage.
    pub store: Store,
}

impl Session {
    /// Finds the engine that the user wants, asks it where its storage lies, and opens the store of that.
    ///
    /// # Errors
    /// When there is no engine, it is too old or remote, or somebody else can write to the state folder.
    pub fn open(wanted: Option<&OsStr>, globals: Vec<OsString>) -> anyhow::Result<Self> {
        let wanted = wanted.map(OsStr::to_string_lossy).unwrap_or_default();
        let (kind, program) = engine::find(&wanted)?;
        // Who names buildah means the one that is here: it knows no remote engine and does not read the variables.
        let by_choice = kind == EngineKind::Buildah && !matches!(&*wanted, "" | "auto");
        refuse_remote(&globals, &|name| std::env::var_os(name).filter(|_| !by_choice))?;
        let state = state_folder()?;
        make_state_folder(&state)?;
        let answers = Shelf::new(state.join("engines"));
        let probed = engine::probe(kind, &program, &globals, Some(&answers))?;
        let store = Store::open(&state, &probed.graph_root, &probed.driver);
        store.shelf().tell_of(&answers);
        Ok(Self { engine: Box::new(CliEngine::new(probed, globals)), store })
    }

    /// The engine's program.
    pub fn program(&self) -> &Path {
        &self.engine.probed().program
    }
}

impl Drop for Session {
    /// What no report has told of by then.
    fn drop(&mut self) {
        for trouble in self.store.troubles() {
            // Where nobody hears it there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "warning: {trouble}");
        }
    }
}

/// A remote podman keeps its images on another machine: their layers and configs cannot be read here.
///
/// What flags and variables do not say, containers.conf may: `engine::probe` asks podman itself.
fn refuse_remote(globals: &[OsString], variable: &dyn Fn(&str) -> Option<OsString>) -> anyhow::Result<()> {
    let given = |name: &str| {
        globals.iter().rev().find_map(|flag| {
            let text = flag.to_str()?;
            (text == name || text.strip_prefix(name)?.starts_with('=')).then(|| text.to_owned())
        })
    };
    let remote = given("--remote");
    // An address means a remote podman whatever --remote says, a variable only where --remote=false does not
    // (podman 4.3, 5.4, 5.8).
    let local = remote.as_deref() == Some("--remote=false");
    let by_flag = remote.filter(|_| !local).or_else(|| given("--url")).or_else(|| given("--connection"));
    let by_variable = || {
        let set = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
        ["CONTAINER_HOST", "CONTAINER_CONNECTION"].into_iter().find(set).map(str::to_owned)
    };
    match by_flag.or_else(|| if local { None } else { by_variable() }) {
        Some(what) => Err(engine::is_remote(&what)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(globals: &[&str], variables: &[(&str, &str)]) -> String {
        let globals: Vec<OsString> = globals.iter().map(Into::into).collect();
        let variable = |name: &str| Some(variables.iter().find(|(set, _)| *set == name)?.1.into());
        refuse_remote(&globals, &variable).map_or_else(|error| error.to_string(), |()| "ok".into())
    }

    #[test]
    fn a_remote_engine_is_refused_by_what_asks_for_it() {
        for flag in ["--remote", "--remote=true", "--url=tcp://x", "--connection=c"] {
            assert!(verdict(&["--root=/r", flag], &[]).starts_with(&format!("{flag}: ")), "{flag}");
        }
        assert_eq!(verdict(&["--remote=false", "--root=/r"], &[]), "ok");
        assert!(verdict(&["--url=tcp://x", "--remote=false"], &[]).starts_with("--url=tcp://x: "));
        for variable in ["CONTAINER_HOST", "CONTAINER_CONNECTION"] {
            assert!(verdict(&[], &[(variable, "x")]).starts_with(&format!("{variable}: ")));
            assert_eq!(verdict(&[], &[(variable, "")]), "ok");
            assert_eq!(verdict(&["--remote=false"], &[(variable, "x")]), "ok");
        }
    }
}
