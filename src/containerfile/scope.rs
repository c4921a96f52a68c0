//! The variables that an instruction can see, as the engine keeps them while it works through a file.
//!
//! Follows `Builder` in imagebuilder's `builder.go` and its functions in `dispatchers.go`, with the
//! differences that [`Rules`] names. An unset ARG and an empty one differ here as they do there: the one
//! is not passed to a RUN, the other is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ast::{Flag, Heredoc, Instruction, Keyword};
use super::environment::Environment;
use super::expand::{
    ExpandError, Expansion, Lookup, expand_text, expand_word, expand_words, expands_flags, expansion,
};
use super::platform::Platform;
use super::refusal::InstructionError;
use super::rules::Rules;
use super::shared_map::SharedMap;
use super::stages::FileStage;
use super::text::decode;

/// The arguments that need no ARG (`builtinAllowedBuildArgs`); all other proxy names need one.
pub const PREDEFINED_ARGS: [&str; 8] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// How much text the variables of a stage may have together; a command can be started with some 2 MiB of them.
const MOST_VALUES: usize = 16 << 20;

/// The path that the engines set where the base image has none.
pub const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the command line says about arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildArgs {
    /// Each `--build-arg` with its value; one that takes its value from an environment that has none is
    /// left out.
    pub values: BTreeMap<String, String>,
    /// The platform the image is for.
    pub target: Platform,
    /// Whether the user named that platform: an old engine then takes it for a `--build-arg`.
    pub target_is_explicit: bool,
    /// The platform of this machine.
    pub build: Platform,
}

/// What a stage takes over from its base image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageBase {
    /// `Env` of its config.
    pub env: Vec<String>,
    /// `WorkingDir` of its config.
    pub workdir: String,
    /// `User` of its config.
    pub user: String,
    /// `Shell` of its config; empty where it has none.
    pub shell: Vec<String>,
    /// [`Scope::inheritable`] of the stage that is its base; empty where the base is an image.
    pub declarations: Vec<String>,
}

/// The state of one stage, or of the file's heading.
#[derive(Debug, Clone)]
pub struct Scope {
    rules: Rules,
    build_args: Arc<BuildArgs>,
    /// What the engine takes for the user's arguments.
    user_args: Arc<BTreeMap<String, String>>,
    /// The predefined platform arguments.
    builtin: Arc<BTreeMap<String, String>>,
    heading: Arc<BTreeMap<String, String>>,
    args: SharedMap<Arc<str>>,
    declared: SharedMap<()>,
    /// The base's environment and what the stage set.
    env: Environment,
    /// What the stage set, and a PATH where the base had none.
    stage_env: Environment,
    workdir: String,
    user: String,
    shell: Vec<String>,
}

/// An instruction as the engine acts on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    /// [`Instruction::words`], expanded where the instruction is.
    pub words: Vec<String>,
    /// The flags, expanded where the instruction's are. `--from` sees arguments only, no environment.
    pub flags: Vec<Flag>,
}

impl Scope {
    /// The state before the first FROM: the heading's ARGs evaluated.
    pub fn new(
        rules: Rules,
        build_args: BuildArgs,
        heading: &[&Instruction],
    ) -> Result<Self, InstructionError> {
        let mut user_args = build_args.values.clone();
        let target = build_args.target.arguments("TARGET");
        if rules == Rules::Buildah28 && build_args.target_is_explicit {
            for (name, value) in &target {
                if !(name == "TARGETVARIANT" && value.is_empty()) {
                    user_args.entry(name.clone()).or_insert_with(|| value.clone());
                }
            }
        }
        // An old engine knows this machine only, a later one the platform that it builds for.
        let target = if rules == Rules::Buildah28 { build_args.build.arguments("TARGET") } else { target };
        let builtin: BTreeMap<_, _> = target.into_iter().chain(build_args.build.arguments("BUILD")).collect();
        let mut scope = Self {
            rules,
            build_args: Arc::new(build_args),
            user_args: Arc::new(user_args.clone()),
            builtin: Arc::new(builtin),
            heading: Arc::default(),
            args: shared(&user_args),
            declared: SharedMap::default(),
            env: Environment::default(),
            stage_env: Environment::default(),
            workdir: String::new(),
            user: String::new(),
            shell: Vec::new(),
        };
        if rules >= Rules::Buildah43 {
            for (name, value) in &*scope.builtin {
                scope.declared.insert(name, ());
                if !scope.args.contains(name) {
                    scope.args.insert(name, value.as_str().into());
                }
            }
        }
        for instruction in heading {
            scope.apply(instruction)?;
        }
        scope.heading = Arc::new(scope.args_in_scope());
        Ok(scope)
    }

    /// The state at the start of a stage; `self` is the heading or any stage of the file.
    pub fn enter_stage(&self, base: StageBase) -> Result<Self, InstructionError> {
        let mut scope = Self {
            args: shared(&self.user_args),
            declared: SharedMap::default(),
            env: base.env.into_iter().collect(),
            stage_env: Environment::default(),
            workdir: base.workdir,
            user: base.user,
            shell: base.shell,
            ..self.clone()
        };
        if scope.env.get("PATH").is_none() {
            scope.stage_env.set(DEFAULT_PATH.to_owned());
        }
        if self.rules >= Rules::Buildah43 {
            scope.declare(&base.declarations)?;
        }
        Ok(scope)
    }

    /// The words of a stage's ARGs as stages based on it inherit them, with those that it inherits itself.
    pub fn inheritable(
        &self,
        stage: &FileStage<'_>,
        inherited: &[String],
    ) -> Result<Vec<String>, ExpandError> {
        let mut lookup = self.variables_of_from();
        let mut words = inherited.to_vec();
        for argument in stage.body.iter().filter(|instruction| instruction.keyword == Keyword::Arg) {
            for word in argument.words() {
                let word = expand_word(&word, &lookup, self.rules)?;
                if let Some((name, value)) = word.split_once('=') {
                    lookup.insert(name.to_owned(), value.to_owned());
                }
                words.push(word);
            }
        }
        Ok(words)
    }

    /// Takes over what an instruction changes for those behind it.
    ///
    /// What it leaves in the image is `image_config`'s work, which also refuses what the engine refuses.
    pub fn apply(&mut self, instruction: &Instruction) -> Result<(), InstructionError> {
        self.take_over(instruction)?;
        let changes = matches!(instruction.keyword, Keyword::Arg | Keyword::Env);
        if changes && self.length() > MOST_VALUES {
            return Err(InstructionError::TooMuch);
        }
        Ok(())
    }

    /// How much text the variables have.
    fn length(&self) -> usize {
        let args: usize = self.args.iter().map(|(name, value)| name.len() + value.len()).sum();
        args + self.env.entries().iter().map(String::len).sum::<usize>()
    }

    fn take_over(&mut self, instruction: &Instruction) -> Result<(), InstructionError> {
        match instruction.keyword {
            Keyword::Arg => {
                let words = self.expanded(instruction)?.words;
                self.declare(&words)?;
            }
            Keyword::Env => {
                for pair in self.expanded(instruction)?.words.chunks_exact(2) {
                    let entry = pair.join("=");
                    self.env.set(entry.clone());
                    self.stage_env.set(entry);
                }
            }
            Keyword::Workdir => {
                if let [path] = self.expanded(instruction)?.words.as_slice() {
                    self.workdir = self.joined_workdir(path);
                }
            }
            Keyword::User => {
                if let [user] = self.expanded(instruction)?.words.as_slice() {
                    self.user = user.clone();
                }
            }
            Keyword::Shell => self.shell = instruction.json.clone().unwrap_or_default(),
            _ => {}
        }
        Ok(())
    }

    /// The instruction with all variables put in that the engine puts in.
    ///
    /// FROM sees the heading, all others see the stage.
    pub fn expanded(&self, instruction: &Instruction) -> Result<Expanded, ExpandError> {
        if instruction.keyword == Keyword::From {
            return self.expanded_from(instruction);
        }
        let mut words = Vec::new();
        for word in instruction.words() {
            match expansion(&instruction.keyword) {
                Expansion::No => words.push(word),
                Expansion::Word => words.push(expand_word(&word, &StepVariables(self), self.rules)?),
                Expansion::Words => words.extend(expand_words(&word, &StepVariables(self), self.rules)?),
            }
        }
        if !expands_flags(&instruction.keyword) {
            return Ok(Expanded { words, flags: instruction.flags.clone() });
        }
        let flags = instruction.flags.iter().map(|flag| {
            if instruction.keyword == Keyword::Copy && flag.name == "from" {
                return expand_flag(flag, &self.args_in_scope(), self.rules);
            }
            expand_flag(flag, &FlagVariables(self), self.rules)
        });
        Ok(Expanded { words, flags: flags.collect::<Result<_, _>>()? })
    }

    /// The text of a COPY's or ADD's heredoc as it is written to a file.
    pub fn heredoc(&self, heredoc: &Heredoc) -> Result<Vec<u8>, ExpandError> {
        let text = heredoc.text();
        match heredoc.expand {
            true => expand_text(&decode(&text), &StepVariables(self)).map(String::into_bytes),
            false => Ok(text),
        }
    }

    /// The base and `--platform` of a FROM, and from 1.33 on its alias.
    fn expanded_from(&self, from: &Instruction) -> Result<Expanded, ExpandError> {
        let variables = self.variables_of_from();
        let mut words = from.words();
        for (index, word) in words.iter_mut().enumerate() {
            let expands = index == 0 || (index == 2 && self.rules > Rules::Buildah28);
            if expands {
                *word = expand_word(word, &variables, self.rules)?;
            }
        }
        let flags = from.flags.iter().map(|flag| match self.rules {
            // To 1.28 the heading is not visible here, but every `--build-arg` is.
            Rules::Buildah28 => expand_flag(flag, &*self.user_args, self.rules),
            _ => expand_flag(flag, &variables, self.rules),
        });
        Ok(Expanded { words, flags: flags.collect::<Result<_, _>>()? })
    }

    fn variables_of_from(&self) -> BTreeMap<String, String> {
        if self.rules == Rules::Buildah28 {
            return (*self.heading).clone();
        }
        let mut variables = (*self.heading).clone();
        variables.extend(self.builtin.iter().map(|(name, value)| (name.clone(), value.clone())));
        let declared = self.user_args.iter().filter(|(name, _)| self.heading.contains_key(*name));
        variables.extend(declared.map(|(name, value)| (name.clone(), value.clone())));
        variables
    }

    fn declare(&mut self, words: &[String]) -> Result<(), InstructionError> {
        for word in words {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name, Some(default.to_owned())),
                None => (word.as_str(), None),
            };
            self.declared.insert(name, ());
            if self.rules == Rules::Buildah28 {
                self.declare_as_buildah_28(name, default)?;
                continue;
            }
            let default = match self.builtin.get(name) {
                Some(_) if default.is_some() && matches!(name, "TARGETPLATFORM" | "BUILDPLATFORM") => {
                    return Err(InstructionError::Platform(name.to_owned()));
                }
                Some(value) => Some(value.clone()),
                None => default.or_else(|| self.heading.get(name).cloned()),
            };
            if let (Some(value), false) = (default, self.user_args.contains_key(name)) {
                self.args.insert(name, value.into());
            }
        }
        Ok(())
    }

    fn declare_as_buildah_28(&mut self, name: &str, default: Option<String>) -> Result<(), InstructionError> {
        if let ("TARGETPLATFORM", Some(text)) = (name, &default) {
            let Some(platform) = Platform::parse(text) else {
                return Err(InstructionError::Platform(name.to_owned()));
            };
            for (name, value) in platform.arguments("TARGET") {
                self.declared.insert(&name, ());
                self.args.insert(&name, value.into());
            }
        }
        let default = default.or_else(|| self.builtin.get(name).cloned());
        if let (None, Some(value)) = (&default, self.heading.get(name)) {
            self.args.insert(name, value.as_str().into());
        }
        if let (Some(value), false) = (default, self.user_args.contains_key(name)) {
            self.args.insert(name, value.into());
        }
        Ok(())
    }

    fn joined_workdir(&self, path: &str) -> String {
        let mut workdir = if path.starts_with('/') {
            path.to_owned()
        } else {
            clean_path(&format!("/{}/{path}", self.workdir))
        };
        if self.rules > Rules::Buildah28 && workdir.len() > 1 && workdir.ends_with('/') {
            workdir.pop();
        }
        workdir
    }

    /// The arguments that have a value and are declared or predefined. A RUN sees them all, but for those
    /// that ENV or the base image set to something else; a history line names them all.
    pub fn args_in_scope(&self) -> BTreeMap<String, String> {
        self.args
            .iter()
            .filter(|(name, _)| self.allows(name))
            .map(|(name, value)| (name.to_owned(), value.to_string()))
            .collect()
    }

    /// The arguments with the values that a history line of a RUN has: of one that an ENV of this stage hides the ENV's, and
    /// neither command nor image know another one; an ENV of the base hides it from the command alone (1.28, 1.39, 1.43).
    pub fn args_of_history(&self) -> BTreeMap<String, String> {
        let mut args = self.args_in_scope();
        for (name, value) in &mut args {
            if let Some(hiding) = self.stage_env.get(name) {
                hiding.clone_into(value);
            }
        }
        args
    }

    /// The arguments that are declared and have no value.
    pub fn declared_without_value(&self) -> BTreeSet<String> {
        {
            let names = self.declared.iter().map(|(name, ())| name);
            names.filter(|name| !self.args.contains(name)).map(str::to_owned).collect()
        }
    }

    /// Whether an ARG of this stage has that name.
    pub fn is_declared(&self, name: &str) -> bool {
        self.declared.contains(name)
    }

    fn allows(&self, name: &str) -> bool {
        self.declared.contains(name) || PREDEFINED_ARGS.contains(&name)
    }

    /// The base's environment and what the stage set.
    pub fn env(&self) -> &Environment {
        &self.env
    }

    /// What the stage's ENV set, and PATH where the base has none.
    pub fn stage_env(&self) -> &Environment {
        &self.stage_env
    }

    /// The working directory of the next step; empty where nothing set one.
    pub fn workdir(&self) -> &str {
        &self.workdir
    }

    /// The user of the next step; empty for root.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What SHELL or the base's config set; empty for the default. In OCI format no engine uses it.
    pub fn shell(&self) -> &[String] {
        &self.shell
    }

    /// The values of the heading's ARGs.
    pub fn heading(&self) -> &BTreeMap<String, String> {
        &self.heading
    }

    /// What the command line says about arguments.
    pub fn build_args(&self) -> &BuildArgs {
        &self.build_args
    }

    /// The rules in force.
    pub fn rules(&self) -> Rules {
        self.rules
    }
}

fn shared(args: &BTreeMap<String, String>) -> SharedMap<Arc<str>> {
    args.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
}

fn expand_flag(flag: &Flag, lookup: &dyn Lookup, rules: Rules) -> Result<Flag, ExpandError> {
    let word = expand_word(&flag.word(), lookup, rules)?;
    let word = word.strip_prefix("--").unwrap_or(&word);
    Ok(match word.split_once('=') {
        Some((name, value)) => Flag { name: name.to_owned(), value: Some(value.to_owned()) },
        None => Flag { name: word.to_owned(), value: None },
    })
}

/// What the words of an instruction see: the environment before the arguments.
struct StepVariables<'a>(&'a Scope);

impl Lookup for StepVariables<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        let Self(scope) = self;
        let argument = || scope.args.get(name).filter(|_| scope.allows(name)).map(|value| &**value);
        scope.stage_env.get(name).or_else(|| scope.env.get(name)).or_else(argument)
    }
}

/// What flags see: an old engine does not ask whether an argument is declared, and knows no default PATH.
struct FlagVariables<'a>(&'a Scope);

impl Lookup for FlagVariables<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        let Self(scope) = self;
        let visible = scope.rules == Rules::Buildah28 || scope.allows(name);
        let argument = || scope.args.get(name).filter(|_| visible).map(|value| &**value);
        scope.env.get(name).or_else(argument)
    }
}

/// A rooted path without `.`, `..` and double slashes, as Go's `filepath.Clean` makes it.
pub(crate) fn clean_path(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
#[path = "scope_tests.rs"]
mod tests;
