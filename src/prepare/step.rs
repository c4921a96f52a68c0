//! One step: its inputs, and what the engine has to be told again because a step's file starts anew.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::note_cache;
use super::stage::Preparer;
use super::{Place, PreparedStage, PreparedStep};
use crate::containerfile::{Dialect, Instruction, Keyword, Scope};
use crate::graph::mount_fields;
use crate::heredoc::WithoutHeredocs;
use crate::host::{self, HostAccess};
use crate::image::ImageFormat;
use crate::key::{StepInputs, digest_of_value, title_of};
use crate::render::ScopedArg;

/// Flags that concern commands only: a step without RUN does not hang on them.
const RUN_ONLY: &[&str] = &[
    "add-host",
    "cap-add",
    "cap-drop",
    "cdi-config-dir",
    "cgroup-manager",
    "cgroupns",
    "cni-config-dir",
    "cni-plugin-path",
    "compat-volumes",
    "default-mounts-file",
    "device",
    "dns",
    "dns-option",
    "dns-search",
    "group-add",
    "hooks-dir",
    "http-proxy",
    "ipc",
    "isolation",
    "network",
    "network-cmd-path",
    "network-config-dir",
    "no-hostname",
    "no-hosts",
    "pid",
    "runtime",
    "runtime-flag",
    "security-opt",
    "shm-size",
    "ulimit",
    "uts",
    "volume",
    "mount",
];

/// Flags of the final image that each stage is built with where it is one call (1.28, 1.43.2).
pub const OF_EVERY_STAGE: &[&str] =
    &["inherit-labels", "omit-history", "os-feature", "os-version", "unsetlabel"];

/// Flags of the final image that the tip of each stage has something of.
pub(super) const OF_EVERY_TIP: &[&str] = &[
    "created-annotation",
    "identity-label",
    "inherit-labels",
    "layer-label",
    "omit-history",
    "os-feature",
    "os-version",
    "unsetlabel",
];

impl PreparedStep {
    /// A step without instructions, that takes nothing from anywhere.
    fn bare(lines: (usize, usize), title: String, inputs: StepInputs) -> Self {
        Self {
            items: Vec::new(),
            lines,
            title,
            inputs,
            foreign: Vec::new(),
            named: Vec::new(),
            renames: Vec::new(),
            without_heredocs: BTreeMap::new(),
            always: None,
            host: HostAccess::default(),
            unread: None,
            exclusive: BTreeSet::new(),
            uses_context: false,
            reads: Vec::new(),
            remotes: Vec::new(),
            runs: false,
            mounts_cache: false,
            workdir: None,
            in_layers: false,
            gets_env: false,
            variables: BTreeMap::new(),
            args: Vec::new(),
            build_args: Vec::new(),
            shell: None,
            mounts_of_stages: BTreeMap::new(),
            record: Vec::new(),
        }
    }
}

impl Preparer<'_> {
    pub(super) fn step(
        &self,
        stage: &PreparedStage,
        items: &[usize],
        is_target: bool,
    ) -> anyhow::Result<PreparedStep> {
        // What flags add has no line.
        let written = items.iter().find(|&&n| stage.body[n].place != Place::Flag).unwrap_or(&items[0]);
        let first = &stage.body[*written].instruction;
        let last = &stage.body[*items.last().expect("a step has an instruction")].instruction;
        let runs = items
            .iter()
            .any(|&n| matches!(stage.body[n].instruction.keyword, Keyword::Run | Keyword::Unknown(_)));
        let mut inputs = self.empty_inputs(&stage.stage, stage.layers);
        inputs.flags = self.common.key_flags.clone();
        if !runs {
            inputs.flags.retain(|name, _| !RUN_ONLY.contains(&name.as_str()));
        }
        if !stage.layers && !self.common.stage_labels {
            // With labels they stand in what one call makes, in its history too.
            inputs.flags.insert("stage-labels".into(), vec!["false".into()]);
        }
        if !stage.layers {
            let counts = |name: &str| is_target || OF_EVERY_STAGE.contains(&name);
            let flags = self.common.target_flags.iter().filter(|(name, _)| counts(name));
            inputs.flags.extend(flags.map(|(name, values)| (name.clone(), values.clone())));
        }
        if !stage.labels.is_empty()
            && let Some(labels) = inputs.flags.remove("label")
        {
            inputs.flags.insert("label-without-instruction".into(), labels);
        }
        let title = title_of(&last.original);
        let gets_env = !stage.layers || self.sees_env(stage, items);
        if !gets_env && !self.common.given_env.is_empty() {
            inputs.flags.remove("env");
        }
        let mut step = PreparedStep {
            items: items.to_vec(),
            runs,
            gets_env,
            variables: self.variables(stage, items),
            ..PreparedStep::bare((first.line, last.end_line), title, inputs)
        };
        for (position, &number) in items.iter().enumerate() {
            self.describe(stage, number, &mut step.inputs)?;
            let item = &stage.body[number];
            let scope = &stage.scopes[number];
            if !item.instruction.heredocs.is_empty() && scope.rules().dialect() == Dialect::BeforeHeredocs {
                let plain = WithoutHeredocs::new(&item.instruction, scope, number)
                    .map_err(|problem| self.wrong(item, &problem.to_string()))?;
                step.without_heredocs.insert(number, plain);
            }
            match stage.body[number].instruction.keyword {
                Keyword::Copy | Keyword::Add => self.copy_sources(stage, number, position, &mut step)?,
                Keyword::Run => self.run_sources(stage, number, position, &mut step)?,
                _ => {}
            }
        }
        if step.reads.is_empty() && step.unread.is_none() {
            step.inputs.flags.remove("ignore-file-mode");
        }
        if runs {
            let given = |name: &str| self.common.key_flags.get(name).into_iter().flatten();
            let read_only = |value: &str| value.ends_with(":ro") || value.ends_with(":O");
            let volumes = given("volume").filter(|volume| {
                !volume.starts_with('/') && !read_only(volume) || host::written_by_volume(volume).is_some()
            });
            step.exclusive.extend(volumes.map(|volume| format!("volume {volume}")));
            let devices = given("device").filter(|device| !read_only(device));
            step.exclusive.extend(devices.map(|device| format!("device {device}")));
        }
        // Those of the command line, which each RUN gets (1.44).
        let mounts = self.common.key_flags.get("mount").filter(|_| runs);
        for value in mounts.into_iter().flatten() {
            note_cache(&mount_fields(value), &mut step);
        }
        self.arguments(stage, &mut step);
        step.in_layers = copy_makes_workdir(stage, items);
        step.workdir = workdir_to_bring(stage, items).filter(|_| !step.in_layers);
        step.in_layers |= stage.layers && gets_env;
        Ok(step)
    }

    /// Whether a command of a stage in layers sees what `--env` has set in the commit before it (`given_env`).
    fn sees_env(&self, stage: &PreparedStage, items: &[usize]) -> bool {
        let Some(&last) = items.last().filter(|last| stage.layers && **last > 0) else { return false };
        let unset = self.common.key_flags.get("unsetenv");
        let is_new = |entry: &String| {
            let name = entry.split('=').next().unwrap_or(entry);
            let is_unset = unset.is_some_and(|unset| unset.iter().any(|other| other == name));
            !is_unset && stage.scopes[last].env().get(name).is_none()
        };
        stage.body[last].instruction.keyword == Keyword::Run && self.common.given_env.iter().any(is_new)
    }

    /// What `--env` has set in the image of the step before, which no expansion may see, with the values that it may.
    fn variables(&self, stage: &PreparedStage, items: &[usize]) -> BTreeMap<String, Option<String>> {
        if !stage.layers || !stage.steps.last().is_some_and(|before| before.gets_env) {
            return BTreeMap::new();
        }
        let names = self.common.given_env.iter().map(|entry| entry.split('=').next().unwrap_or(entry));
        let env = stage.scopes[items[0]].env();
        names.map(|name| (name.to_owned(), env.get(name).map(str::to_owned))).collect()
    }

    /// The one call of a stage without instructions: of `FROM scratch` the engines make an image with an empty layer, of
    /// another base what flags ask for.
    pub(super) fn empty_stage(&self, stage: &PreparedStage, is_target: bool) -> PreparedStep {
        let mut inputs = self.empty_inputs(&stage.stage, stage.layers);
        inputs.flags = self.common.key_flags.clone();
        inputs.flags.retain(|name, _| !RUN_ONLY.contains(&name.as_str()));
        if is_target {
            inputs.flags.extend(self.common.target_flags.clone());
        }
        if let Some(env) = self.common.key_flags.get("env") {
            inputs.flags.insert("env".into(), env.clone());
        }
        let title = title_of(&stage.stage.from.original);
        PreparedStep { gets_env: true, ..PreparedStep::bare(stage.stage.lines, title, inputs) }
    }

    /// What of the ARGs and the SHELL in force has to be said again in the step's own Containerfile.
    pub(super) fn arguments(&self, stage: &PreparedStage, step: &mut PreparedStep) {
        let before = &stage.scopes[step.items[0]];
        let user = &before.build_args().values;
        // Declared by the stages below (1.43), or above this step in this stage.
        let mut declared: BTreeSet<String> =
            self.inherited.iter().map(|d| d.split('=').next().unwrap_or(d).to_owned()).collect();
        declared.extend(stage.arg_names[..step.items[0]].iter().flatten().cloned());
        declared.retain(|name| before.is_declared(name));
        let in_scope = before.args_in_scope();
        let mut own: BTreeSet<String> = BTreeSet::new();
        for &number in &step.items {
            own.extend(stage.arg_names[number].iter().cloned());
        }
        // To the step's call such an ENV is one of its base.
        let hiding = before.stage_env();
        let end = stage.scopes[step.items.last().expect("a step has an instruction") + 1].args_in_scope();
        for name in &declared {
            let Some(value) = in_scope.get(name) else { continue };
            if let Some(value) = hiding.get(name) {
                step.build_args.push((name.clone(), value.to_owned()));
                step.args.push(ScopedArg { name: name.clone(), literal: None });
                continue;
            }
            let redeclared = own.contains(name) && !user.contains_key(name);
            let changes = end.get(name) != Some(value);
            let literal = (redeclared && changes && !value.contains('\n')).then(|| value.clone());
            if literal.is_none() {
                step.build_args.push((name.clone(), value.clone()));
            }
            step.args.push(ScopedArg { name: name.clone(), literal });
        }
        for name in own.iter().filter(|name| !declared.contains(*name)) {
            if let Some(value) = hiding.get(name).filter(|_| end.contains_key(name)) {
                step.build_args.push((name.clone(), value.to_owned()));
            } else if let Some(value) = user.get(name) {
                step.build_args.push((name.clone(), value.clone()));
            } else if let Some(value) = self.common.heading.heading().get(name) {
                // `ARG NAME` in a stage takes the heading's value, which the step's file does not have.
                if end.get(name) == Some(value) {
                    step.build_args.push((name.clone(), value.clone()));
                }
            }
        }
        for name in crate::containerfile::PREDEFINED_ARGS {
            if let Some(value) = user.get(name).filter(|_| !declared.contains(name) && !own.contains(name)) {
                step.build_args.push((name.to_owned(), value.clone()));
            }
        }
        // Each command sees every ARG in scope; COPY and the like have theirs in their expansion.
        for &number in &step.items {
            if stage.body[number].instruction.keyword == Keyword::Run {
                for (name, value) in stage.scopes[number].args_of_history() {
                    step.inputs.args.insert(name, digest_of_value(&value));
                }
            }
        }
        let inherits_shell = stage.layers
            && self.common.image_format == ImageFormat::Oci
            && !before.shell().is_empty()
            && (0..step.items[0]).any(|n| stage.body[n].instruction.keyword == Keyword::Shell);
        if inherits_shell {
            step.shell = Some(before.shell().to_vec());
        }
    }
}

/// Set where a native build in layers would not make the folders of the step's WORKDIRs as one call makes them: when
/// there are several, or when somebody else than root is the user.
pub(super) fn workdir_to_bring(stage: &PreparedStage, items: &[usize]) -> Option<String> {
    let workdirs: Vec<usize> =
        items.iter().copied().filter(|&n| stage.body[n].instruction.keyword == Keyword::Workdir).collect();
    let as_user = workdirs.iter().any(|&n| !is_root(stage.scopes[n].user()));
    let last = *items.last()?;
    let wanted = stage.layers && (workdirs.len() > 1 || (as_user && !workdirs.is_empty()));
    wanted.then(|| stage.scopes[last].workdir().to_owned())
}

/// Whether the folder that WORKDIR names may come out with another owner than natively in layers, where COPY and ADD
/// make it: in one call the instructions in front make it, as the USER in force (1.28).
pub(super) fn copy_makes_workdir(stage: &PreparedStage, items: &[usize]) -> bool {
    let Some(&last) = items.last().filter(|_| stage.layers) else { return false };
    let (instruction, scope) = (&stage.body[last].instruction, &stage.scopes[last]);
    let copies = matches!(instruction.keyword, Keyword::Copy | Keyword::Add);
    copies
        && !matches!(scope.workdir(), "" | "/")
        && (instruction.flag("chown").is_some() || !is_root(scope.user()))
}

pub(super) fn is_root(user: &str) -> bool {
    matches!(user, "" | "root" | "0" | "0:0" | "root:root")
}

/// The names that an ARG declares.
pub(super) fn arg_names(instruction: &Instruction, before: &Scope) -> Vec<String> {
    if instruction.keyword != Keyword::Arg {
        return Vec::new();
    }
    let expanded = before.expanded(instruction);
    let words = expanded.map(|e| e.words).unwrap_or_default();
    words.iter().map(|word| word.split('=').next().unwrap_or(word).to_owned()).collect()
}
