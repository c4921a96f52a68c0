//! The engine behind its command line.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::commit::Import;
use super::layers::{self, Layers};
use super::own_lines::OwnLines;
use super::remains::Before;
use super::storage::{self, ImageStore, ListedImage, Listing};
use super::{
    CopiedRequest, Engine, EngineError, EngineKind, ImageRequest, LayerSource, Probed, StepCall, Version,
    argv, commit, copied, steering,
};
use crate::image::{ComposedImage, ImageId, StoredImage};
use crate::process::{self, Ended, Invocation, OutputLine};

/// buildah or podman, run as a program.
#[derive(Debug)]
pub struct CliEngine {
    probed: Probed,
    globals: Vec<OsString>,
    stores: Vec<ImageStore>,
}

impl CliEngine {
    /// An engine that was probed, with the global flags (`--root=…`) that each call gets.
    pub fn new(probed: Probed, globals: Vec<OsString>) -> Self {
        let roots = std::iter::once(&probed.graph_root).chain(&probed.additional);
        let stores =
            roots.map(|root| ImageStore { root: root.clone(), driver: probed.driver.clone() }).collect();
        Self { probed, globals, stores }
    }

    fn invocation(&self) -> Invocation {
        let mut invocation = Invocation::new(&self.probed.program).args(&self.globals);
        // A call lives for a tenth of a second and has a few megabytes to collect: with Go's default of 100 it spends
        // 7 (RUN) to 15 (COPY) of 100 parts of its processor time on that (1.28). No RUN sees the variable.
        if std::env::var_os("GOGC").is_none() {
            invocation.env.push(("GOGC".into(), "400".into()));
        }
        invocation
    }

    fn program(&self) -> String {
        self.probed.program.display().to_string()
    }

    fn start_error(&self, verb: &'static str, source: std::io::Error) -> EngineError {
        match source.kind() {
            _ if process::is_too_late(&source) || process::interrupted() => EngineError::Interrupted,
            // It ran, and what it did was too much.
            ErrorKind::Other | ErrorKind::TimedOut => self.broken(verb, source.to_string()),
            _ => EngineError::Start { program: self.program(), source },
        }
    }

    fn check(&self, verb: &'static str, ended: Ended) -> Result<Ended, EngineError> {
        if ended.status.success() && !ended.ended_early {
            return Ok(ended);
        }
        if ended.ended_early || process::interrupted() {
            return Err(EngineError::Interrupted);
        }
        Err(EngineError::Failed {
            program: self.probed.kind.name().to_owned(),
            verb,
            code: ended.code(),
            stderr: ended.stderr_tail,
        })
    }

    fn run(&self, verb: &'static str, invocation: &Invocation) -> Result<Ended, EngineError> {
        let ended = process::capture(invocation).map_err(|e| self.start_error(verb, e))?;
        self.check(verb, ended)
    }

    /// Writes the ARGs of a call that are not to be in its environment, where the engine can read them.
    fn arg_file(&self, call: &StepCall) -> Result<Option<PathBuf>, EngineError> {
        let lines = steering::arg_file(&call.build_args);
        let Some(lines) = lines.filter(|_| self.probed.buildah >= Version(1, 30, 0)) else { return Ok(None) };
        let file = call.containerfile.with_file_name("build-args");
        let written = fs::write(&file, lines);
        written.map_err(|e| self.broken("build", format!("its ARGs could not be written to a file: {e}")))?;
        Ok(Some(file))
    }

    /// Runs a call of `build` and hands on what its instructions print.
    fn stream(
        &self,
        invocation: &Invocation,
        stdin: Stdio,
        call: &StepCall,
        output: &mut dyn FnMut(OutputLine),
    ) -> Result<Ended, EngineError> {
        let mut own = OwnLines::new(self.probed.kind, call.layers, &call.names);
        let mut each = |line: OutputLine| match line {
            OutputLine::Stdout(line) => own.line(line, &mut |line| output(OutputLine::Stdout(line))),
            line => output(line),
        };
        let ended =
            process::stream(invocation, stdin, &mut each).map_err(|e| self.start_error("build", e))?;
        own.end(ended.status.success(), &mut |line| output(OutputLine::Stdout(line)));
        Ok(ended)
    }

    fn broken(&self, verb: &'static str, problem: impl Into<String>) -> EngineError {
        EngineError::Result { program: self.probed.kind.name().to_owned(), verb, problem: problem.into() }
    }

    fn take_in(&self, image: &ComposedImage, import: &Import) -> Result<ImageId, EngineError> {
        let ended = self.run("pull", &argv::take_in(self.invocation(), import))?;
        let id = self.printed_id("pull", &ended)?;
        if id != image.id {
            return Err(self.broken("pull", format!("committed {id} instead of {}", image.id)));
        }
        Ok(id)
    }

    fn remove_containers(&self, ids: &[String]) -> Result<(), EngineError> {
        if ids.is_empty() {
            return Ok(());
        }
        let invocation = match self.probed.kind {
            EngineKind::Buildah => self.invocation().arg("rm").args(ids),
            EngineKind::Podman => self.invocation().args(["rm", "--force"]).args(ids),
        };
        self.clean_up("rm", invocation)
    }

    /// Runs a call also after a signal.
    fn clean_up(&self, verb: &'static str, invocation: Invocation) -> Result<(), EngineError> {
        let ended = process::capture(&invocation.cleaning_up()).map_err(|e| self.start_error(verb, e))?;
        if ended.status.success() {
            return Ok(());
        }
        let (program, stderr) = (self.probed.kind.name().to_owned(), ended.stderr_tail.clone());
        Err(EngineError::Failed { program, verb, code: ended.code(), stderr })
    }

    /// Removes what a call that failed has left without its mark. What stays is not the failure that is told.
    fn remove_remains(&self, before: &Before, call: &StepCall) {
        let text = fs::read_to_string(&call.containerfile).unwrap_or_default();
        let remains = before.remains(&self.stores, &text);
        let (containers, images): (Vec<_>, Vec<_>) =
            (remains.containers.into_iter().collect(), remains.images.into_iter().collect());
        let _ = self.remove_containers(&containers);
        if !images.is_empty() {
            let _ = self.clean_up("rmi", argv::remove(self.probed.kind, self.invocation(), &images));
        }
    }

    fn printed_id(&self, verb: &'static str, ended: &Ended) -> Result<ImageId, EngineError> {
        let text = String::from_utf8_lossy(&ended.stdout);
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        ImageId::parse(last).ok_or_else(|| self.broken(verb, format!("`{last}` is not an image id")))
    }
}

/// What an engine says when it cannot seal the copy of its program that it runs in a container: the kernel is moving the
/// copy's pages, as it does where memory is short (buildah 1.28 and podman 4.3, `Close_Fd` of containers/storage, chroot
/// isolation; twice in a round of the tests on a busy machine). The command has not run then, and the same call works.
const NOT_SEALED: &str = "sealing memfd copy: Device or resource busy";
/// What an engine says when it does not find what it has committed: a call beside it has committed the same image, with
/// `--timestamp` or without any change, and each writes the image's names as it has read them, so that the name of one is
/// lost (1 to 3 of 16 equal builds at once; buildah 1.28 and podman 4.3, `locating just-written image`).
const NOT_FOUND: &[&str] = &["locating just-written image", "locating new copy of image"];
/// How often such a call is made again.
const CALLS_AGAIN: usize = 3;

/// Whether a call failed in a way in which the same call works the next time.
fn went_wrong_by_chance(call: &StepCall, ended: &Ended) -> bool {
    if ended.ended_early || process::interrupted() {
        return false;
    }
    if ended.status.success() {
        // The other end of the same race.
        return written_id(call).is_none();
    }
    let said = &ended.stderr_tail;
    said.contains(NOT_SEALED) || NOT_FOUND.iter().any(|words| said.contains(words))
}

/// How long an image id may be: `sha256:`, 64 digits and a newline.
const LONGEST_ID: u64 = 128;

/// The id that a call has left in its `--iidfile`.
fn written_id(call: &StepCall) -> Option<ImageId> {
    let mut text = String::new();
    File::open(&call.iidfile).ok()?.take(LONGEST_ID).read_to_string(&mut text).ok()?;
    ImageId::parse(&text)
}

impl Engine for CliEngine {
    fn probed(&self) -> &Probed {
        &self.probed
    }

    fn globals(&self) -> &[OsString] {
        &self.globals
    }

    fn build(&self, call: &StepCall, output: &mut dyn FnMut(OutputLine)) -> Result<ImageId, EngineError> {
        let arg_file = self.arg_file(call)?;
        let invocation = argv::build_step(self.probed.kind, self.invocation(), call, arg_file.as_deref());
        let stdin = if call.stdin.is_some() { Stdio::inherit() } else { Stdio::null() };
        let before = Before::look(&self.stores);
        let mut ended = self.stream(&invocation, stdin, call, output)?;
        for _ in 0..CALLS_AGAIN {
            if call.stdin.is_some() || !went_wrong_by_chance(call, &ended) {
                break;
            }
            self.sweep(&call.mark)?;
            ended = self.stream(&invocation, Stdio::null(), call, output)?;
        }
        if !ended.status.success() || ended.ended_early {
            self.remove_remains(&before, call);
        }
        self.check("build", ended)?;
        written_id(call).ok_or_else(|| self.broken("build", "left no image id in its --iidfile"))
    }

    fn list(&self) -> anyhow::Result<Listing> {
        storage::list(&self.stores)
    }

    fn layers(&self) -> anyhow::Result<Layers> {
        layers::read(&self.stores)
    }

    fn image(&self, id: &ImageId) -> anyhow::Result<StoredImage> {
        storage::read(&self.stores, id)
    }

    fn has_layers(&self, diff_ids: &[String]) -> bool {
        storage::has_layers(&self.stores, diff_ids)
    }

    fn resolve_local(&self, name: &str) -> Result<Result<ImageId, String>, EngineError> {
        let invocation = argv::resolve_local(self.probed.kind, self.invocation(), name);
        let ended = process::capture(&invocation).map_err(|e| self.start_error("inspect", e))?;
        if process::interrupted() {
            return Err(EngineError::Interrupted);
        }
        if !ended.status.success() {
            return Ok(Err(ended.stderr_tail));
        }
        self.printed_id("inspect", &ended).map(Ok)
    }

    fn pull(&self, request: &ImageRequest) -> Result<ImageId, EngineError> {
        let ended = self.run("pull", &argv::pull(self.probed.kind, self.invocation(), request))?;
        self.printed_id("pull", &ended)
    }

    fn commit_config(&self, image: &ComposedImage, name: Option<&str>) -> Result<ImageId, EngineError> {
        let io = |e: std::io::Error| self.broken("pull", format!("writing a config commit: {e}"));
        let import = match name {
            Some(name) => commit::archive(image, name),
            None => commit::folder(image),
        };
        self.take_in(image, &import.map_err(io)?)
    }

    fn top_layer(&self, image: &ListedImage) -> Option<LayerSource> {
        LayerSource::top_of(&self.stores, image)
    }

    fn commit_layer(&self, image: &ComposedImage, layer: &Path) -> Result<ImageId, EngineError> {
        let import = commit::folder_with(image, layer)
            .map_err(|e| self.broken("pull", format!("writing a layer for it: {e}")))?;
        self.take_in(image, &import)
    }

    fn tag(&self, id: &ImageId, names: &[String]) -> Result<(), EngineError> {
        if names.is_empty() {
            return Ok(());
        }
        self.run("tag", &argv::tag(self.invocation(), id, names)).map(drop)
    }

    fn remove(&self, names: &[String]) -> Result<(), EngineError> {
        if names.is_empty() {
            return Ok(());
        }
        self.run("rmi", &argv::remove(self.probed.kind, self.invocation(), names)).map(drop)
    }

    fn copied(&self, request: &CopiedRequest) -> Option<String> {
        copied::digest(&self.stores, request)
    }

    fn quietly(&self, verb: &'static str, args: &[OsString]) -> Result<String, EngineError> {
        let ended = self.run(verb, &self.invocation().args(args))?;
        Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
    }

    fn sweep(&self, mark: &str) -> Result<(), EngineError> {
        let left = || storage::working_containers(&self.stores, mark);
        // Who cleans up beside us may have been faster.
        self.remove_containers(&left()).or_else(|error| if left().is_empty() { Ok(()) } else { Err(error) })
    }
}
