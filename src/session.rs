//! The engine and the store that a command works with, from the flags in front of it.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::bail;

use crate::engine::{self, CliEngine, Engine};
use crate::store::{Store, state_folder};

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
    /// When there is no engine, it is too old or remote, or the state folder cannot be written.
    pub fn open(wanted: Option<&OsStr>, globals: Vec<OsString>) -> anyhow::Result<Self> {
        let wanted = wanted.map(OsStr::to_string_lossy).unwrap_or_default();
        let (kind, program) = engine::find(&wanted)?;
        refuse_remote(&globals)?;
        let state = state_folder()?;
        let probed = engine::probe(kind, &program, &globals, Some(&state.join("engines")))?;
        let store = Store::open(&state, &probed.graph_root, &probed.driver)?;
        Ok(Self { engine: Box::new(CliEngine::new(probed, globals)), store })
    }

    /// The engine's program.
    pub fn program(&self) -> &Path {
        &self.engine.probed().program
    }
}

/// A remote podman keeps its images on another machine: their layers and configs cannot be read here.
fn refuse_remote(globals: &[OsString]) -> anyhow::Result<()> {
    let named = |flag: &OsString| {
        let text = flag.to_string_lossy();
        let on = |name: &str| text == format!("--{name}") || text.starts_with(&format!("--{name}="));
        (on("remote") && text != "--remote=false") || on("url") || on("connection")
    };
    let by_flag = globals.iter().find(|flag| named(flag)).map(|flag| flag.to_string_lossy().into_owned());
    let by_variable = ["CONTAINER_HOST", "CONTAINER_CONNECTION"]
        .into_iter()
        .find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if let Some(what) = by_flag.or(by_variable.map(str::to_owned)) {
        bail!(
            "{what}: a remote engine keeps its images on another machine, and stagecache has to read their configs; \
             run it on that machine, or leave {what} out"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_engine_is_refused_by_the_flag_that_asks_for_it() {
        for flag in ["--remote", "--remote=true", "--url=tcp://x", "--connection=c"] {
            let error = refuse_remote(&[flag.into()]).unwrap_err().to_string();
            assert!(error.starts_with(flag), "{error}");
        }
        assert!(refuse_remote(&["--remote=false".into(), "--root=/r".into()]).is_ok());
    }
}
