//! One file a command: reads what it needs, has it drawn, and leaves every rule to the modules below.

pub mod build;
mod compare;
pub mod completion;
pub mod explain;
pub mod info;
pub mod inspect;
pub mod ls;
pub mod man;
pub mod plan;
pub mod prune;
pub mod watch;

use std::ffi::OsString;

use crate::cli::EngineArgs;
use crate::flags::{BuildFlags, Leading};
use crate::report::template::Template;
use crate::session::Session;

/// Opens engine and store for a command that does not build, from the flags in front of it and behind it.
///
/// # Errors
/// As [`Session::open`].
pub fn session(leading: Leading, args: &EngineArgs) -> anyhow::Result<Session> {
    let flags = BuildFlags::default().after(leading);
    let mut globals = flags.globals();
    let behind = [
        ("root", args.root.as_ref().map(|path| path.clone().into_os_string())),
        ("runroot", args.runroot.as_ref().map(|path| path.clone().into_os_string())),
        ("storage-driver", args.storage_driver.as_ref().map(OsString::from)),
    ];
    for (name, value) in behind {
        if let Some(value) = value {
            let mut flag = OsString::from(format!("--{name}="));
            flag.push(value);
            globals.push(flag);
        }
    }
    let wanted = args.engine.as_ref().map(OsString::from);
    Session::open(wanted.as_deref().or(flags.value("engine")), globals)
}

/// How a report is wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// As a template says.
    Template(Template),
}

impl Format {
    /// Reads `--format`.
    ///
    /// # Errors
    /// When it is a template that cannot be read.
    pub fn parse(text: Option<&str>) -> anyhow::Result<Self> {
        Ok(match text {
            None | Some("" | "text" | "table") => Self::Text,
            Some("json" | "{{json .}}") => Self::Json,
            Some(template) if template.contains("{{") => Self::Template(Template::parse(template)?),
            Some(other) => anyhow::bail!("--format={other}: write json, or a template such as '{{{{.id}}}}'"),
        })
    }

    /// Reads `--format` of a report that has no templates.
    ///
    /// # Errors
    /// When it is anything else than `json` or `text`.
    pub fn json(text: Option<&str>) -> anyhow::Result<bool> {
        match text {
            None | Some("" | "text") => Ok(false),
            Some("json") => Ok(true),
            Some(other) => anyhow::bail!("--format={other}: write json, or leave it out"),
        }
    }
}
