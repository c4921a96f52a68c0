//! A build that fails before there is a plan: its record, so that `ls` and `explain` know of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::output::write_metadata;
use super::sources::Found;
use crate::graph::StageGraph;
use crate::plan::Plan;
use crate::process;
use crate::recording;
use crate::request::BuildRequest;
use crate::session::Session;

/// What a record says of it.
pub(super) struct Attempt<'a> {
    session: &'a Session,
    request: &'a BuildRequest,
    context: PathBuf,
    containerfile: Option<PathBuf>,
    bytes: Vec<u8>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(session: &'a Session, request: &'a BuildRequest, found: &Found) -> Self {
        Self {
            session,
            request,
            context: found.context.folder.clone(),
            containerfile: found.containerfile.real.clone(),
            bytes: found.containerfile.bytes.clone(),
        }
    }

    /// Writes the record where there is none of that id yet. What goes wrong in that is not told: the failure itself is.
    pub(super) fn failed(&self, build_id: &str, platform: String, error: &anyhow::Error) {
        let store = &self.session.store;
        if store.has_record(build_id) {
            return;
        }
        let record = recording::start(&recording::Start {
            build_id,
            probed: self.session.engine.probed(),
            request: self.request,
            context: &self.context,
            containerfile: self.containerfile.as_deref(),
            bytes: &self.bytes,
            ignore_file: None,
            platform,
            graph: &StageGraph::default(),
            prepared: &BTreeMap::new(),
            plan: &Plan::default(),
            veil: store.veil(),
        });
        let failed = store.start_record(record).and_then(|file| {
            file.finish(|record| record.fail(&format!("{error:#}"), process::interrupted()))
        });
        let _ = failed.and_then(|record| write_metadata(self.request, &record, None));
    }
}
