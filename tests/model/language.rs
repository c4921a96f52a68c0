//! The instructions that random stages are made of, as text and by what they do to files.
//!
//! The commands are ones that busybox carries out to the same effect, so that the same stages run on a real engine.

use std::collections::BTreeMap;
use std::fmt;

/// A file: its mode and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub mode: u32,
    pub text: String,
}

impl File {
    pub fn new(text: &str) -> Self {
        Self { mode: 0o644, text: text.to_owned() }
    }
}

/// Files by path, without the leading slash; folders are there where files are below them.
pub type Files = BTreeMap<String, File>;

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    Arg { name: String, default: String },
    Env { name: String, value: String },
    Label { name: String, value: String },
    Expose(usize),
    Workdir(String),
    Copy { from: Option<String>, chmod: Option<u32>, sources: Vec<String>, to: String },
    Run { mount: Option<Mount>, command: Command },
}

/// A folder that a command sees as `/m`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub from: Option<String>,
    pub source: String,
}

/// What a RUN does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// All of these files, in a new one; files that are not there count as empty.
    Join {
        files: Vec<String>,
        to: String,
    },
    /// The first line of a file: others may change without a trace.
    First {
        file: String,
        to: String,
    },
    /// A text with variables.
    Say {
        text: String,
        to: String,
    },
    /// The mode of a file.
    Mode {
        file: String,
        to: String,
    },
    Folder {
        to: String,
    },
    Remove {
        file: String,
    },
    /// What comes out differs from run to run, and no key knows.
    Roll {
        to: String,
    },
}

/// What mounts the die.
const DIE: &str = "--mount=type=secret,id=die ";

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arg { name, default } => write!(f, "ARG {name}={default}"),
            Self::Env { name, value } => write!(f, "ENV {name}={value}"),
            Self::Label { name, value } => write!(f, "LABEL {name}={value}"),
            Self::Expose(port) => write!(f, "EXPOSE {port}"),
            Self::Workdir(path) => write!(f, "WORKDIR {path}"),
            Self::Copy { from, chmod, sources, to } => {
                f.write_str("COPY")?;
                if let Some(from) = from {
                    write!(f, " --from={from}")?;
                }
                if let Some(mode) = chmod {
                    write!(f, " --chmod={mode:o}")?;
                }
                write!(f, " {} {to}", sources.join(" "))
            }
            Self::Run { mount, command } => {
                f.write_str("RUN ")?;
                if let Some(mount) = mount {
                    f.write_str("--mount=type=bind")?;
                    if let Some(from) = &mount.from {
                        write!(f, ",from={from}")?;
                    }
                    write!(f, ",source={},target=/m ", mount.source)?;
                }
                if let Command::Roll { .. } = command {
                    f.write_str(DIE)?;
                }
                write!(f, "{command}")
            }
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join { files, to } => write!(f, "cat {} >{to} 2>/dev/null; true", files.join(" ")),
            Self::First { file, to } => write!(f, "head -n1 {file} >{to} 2>/dev/null; true"),
            Self::Say { text, to } => write!(f, "echo \"{text}\" >{to}"),
            Self::Mode { file, to } => write!(f, "stat -c %a {file} >{to} 2>/dev/null; true"),
            Self::Folder { to } => write!(f, "pwd >{to}"),
            Self::Remove { file } => write!(f, "rm -f {file}"),
            Self::Roll { to } => write!(f, "cp /run/secrets/die {to}; chmod 644 {to}"),
        }
    }
}

impl Instruction {
    /// Reads what `Display` writes, and a bare `ARG NAME`; the name's default is then missing.
    pub fn parse(line: &str) -> (Self, Option<String>) {
        let (keyword, rest) = line.split_once(' ').unwrap_or_else(|| panic!("not an instruction: {line}"));
        let pair = || {
            let (name, value) = rest.split_once('=').unwrap_or_else(|| panic!("no value: {line}"));
            (name.trim_matches('"').to_owned(), value.trim_matches('"').to_owned())
        };
        let parsed = match keyword {
            "ARG" => match rest.split_once('=') {
                Some((name, default)) => {
                    let default = default.trim_matches('"').to_owned();
                    return (Self::Arg { name: name.to_owned(), default: default.clone() }, Some(default));
                }
                None => return (Self::Arg { name: rest.to_owned(), default: String::new() }, None),
            },
            "ENV" => {
                let (name, value) = pair();
                Self::Env { name, value }
            }
            "LABEL" => {
                let (name, value) = pair();
                Self::Label { name, value }
            }
            "EXPOSE" => Self::Expose(rest.parse().unwrap()),
            "WORKDIR" => Self::Workdir(rest.to_owned()),
            "COPY" => {
                let (mut from, mut chmod, mut words) = (None, None, Vec::new());
                for word in rest.split(' ') {
                    if let Some(name) = word.strip_prefix("--from=") {
                        from = Some(name.to_owned());
                    } else if let Some(mode) = word.strip_prefix("--chmod=") {
                        chmod = Some(u32::from_str_radix(mode, 8).unwrap());
                    } else {
                        words.push(word.to_owned());
                    }
                }
                let to = words.pop().unwrap();
                Self::Copy { from, chmod, sources: words, to }
            }
            "RUN" => {
                let (mount, command) = match rest.strip_prefix("--mount=type=bind,") {
                    Some(rest) => {
                        let (fields, command) = rest.split_once(' ').unwrap();
                        let field = |name: &str| {
                            fields.split(',').find_map(|f| f.strip_prefix(name)).map(str::to_owned)
                        };
                        (Some(Mount { from: field("from="), source: field("source=").unwrap() }), command)
                    }
                    None => (None, rest.strip_prefix(DIE).unwrap_or(rest)),
                };
                Self::Run { mount, command: Command::parse(command) }
            }
            other => panic!("unknown instruction {other}"),
        };
        (parsed, None)
    }

    /// Whether it makes a layer.
    pub fn has_layer(&self) -> bool {
        matches!(self, Self::Copy { .. } | Self::Run { .. })
    }
}

impl Command {
    fn parse(text: &str) -> Self {
        if let Some((_, to)) = text.split_once("; chmod 644 ") {
            return Self::Roll { to: to.to_owned() };
        }
        let plain = text.trim_end_matches("; true").trim_end_matches(" 2>/dev/null");
        let (command, to) = plain.split_once(" >").unwrap_or((plain, ""));
        let to = to.to_owned();
        let (program, rest) = command.split_once(' ').unwrap_or((command, ""));
        match program {
            "cat" => Self::Join { files: rest.split(' ').map(str::to_owned).collect(), to },
            "head" => Self::First { file: rest.trim_start_matches("-n1 ").to_owned(), to },
            "echo" => Self::Say { text: rest.trim_matches('"').to_owned(), to },
            "stat" => Self::Mode { file: rest.trim_start_matches("-c %a ").to_owned(), to },
            "pwd" => Self::Folder { to },
            "rm" => Self::Remove { file: rest.trim_start_matches("-f ").to_owned() },
            _ => panic!("unknown command {text}"),
        }
    }
}

/// Everything that an instruction works on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    pub files: Files,
    pub env: BTreeMap<String, String>,
    /// ARGs in scope with their values.
    pub args: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub workdir: String,
}

/// Where files are taken from.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// The context as COPY sees it, without what is ignored.
    Copied,
    /// The context as it is.
    Mounted,
    /// A stage or an image.
    Stage(&'a str),
}

/// The files of one source: relative to it, with the path that it is in the source.
pub type Picked = BTreeMap<String, File>;

/// What lies at `path`: the file itself, or all files of the folder; with their whole paths.
pub fn picked(files: &Files, path: &str) -> Picked {
    let path = path.trim_matches('/').trim_start_matches("./");
    let below = format!("{path}/");
    let wanted = |name: &&String| path.is_empty() || path == "." || *name == path || name.starts_with(&below);
    files.keys().filter(wanted).map(|name| (name.clone(), files[name].clone())).collect()
}

impl State {
    /// The state of a stage that stands on this one.
    pub fn below_another(&self) -> Self {
        Self { args: BTreeMap::new(), ..self.clone() }
    }

    /// `$NAME` and `${NAME}` replaced.
    pub fn expand(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let braced = rest.starts_with('{');
            let start = usize::from(braced);
            let end = rest[start..]
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .map_or(rest.len(), |n| n + start);
            let name = &rest[start..end];
            out.push_str(self.env.get(name).or_else(|| self.args.get(name)).map_or("", String::as_str));
            rest = &rest[end + usize::from(braced)..];
        }
        out + rest
    }

    /// The files that an instruction takes from elsewhere, a source after the other.
    ///
    /// # Errors
    /// When one of them is not there, as an engine would say.
    pub fn sources(
        &self,
        instruction: &Instruction,
        files_of: &dyn Fn(Place<'_>) -> Result<Files, String>,
    ) -> Result<Vec<Picked>, String> {
        let (place, paths) = match instruction {
            Instruction::Copy { from: None, sources, .. } => (Place::Copied, sources.clone()),
            Instruction::Copy { from: Some(from), sources, .. } => (Place::Stage(from), sources.clone()),
            Instruction::Run { mount: Some(mount), .. } => {
                let place = mount.from.as_deref().map_or(Place::Mounted, Place::Stage);
                (place, vec![mount.source.clone()])
            }
            _ => return Ok(Vec::new()),
        };
        let files = files_of(place)?;
        let one = |path: &String| {
            let found = picked(&files, &self.expand(path));
            if found.is_empty() { Err(format!("{instruction}: no {path}")) } else { Ok(found) }
        };
        paths.iter().map(one).collect()
    }

    /// Does what the instruction does; `build_args` are the user's, and `die` is what a roll gives.
    pub fn apply(
        &mut self,
        instruction: &Instruction,
        sources: &[Picked],
        build_args: &BTreeMap<String, String>,
        die: &str,
    ) {
        match instruction {
            Instruction::Arg { name, default } => {
                let value = build_args.get(name).unwrap_or(default).clone();
                self.args.insert(name.clone(), value);
            }
            Instruction::Env { name, value } => {
                let value = self.expand(value);
                self.env.insert(name.clone(), value);
            }
            Instruction::Label { name, value } => {
                let value = self.expand(value);
                self.labels.insert(name.clone(), value);
            }
            Instruction::Expose(_) => {}
            Instruction::Workdir(path) => self.workdir.clone_from(path),
            Instruction::Copy { chmod, sources: paths, to, .. } => {
                for (path, files) in paths.iter().zip(sources) {
                    let path = self.expand(path);
                    self.copy(path.trim_matches('/'), files, to, *chmod);
                }
            }
            Instruction::Run { mount, command } => {
                let mounted = mount.as_ref().map(|mount| {
                    let source = mount.source.trim_matches('/');
                    let below = |path: &str| path.strip_prefix(source).unwrap_or(path).to_owned();
                    sources[0]
                        .iter()
                        .map(|(path, file)| (format!("m{}", below(path)), file.clone()))
                        .collect()
                });
                self.run(command, &mounted.unwrap_or_default(), die);
            }
        }
    }

    fn copy(&mut self, source: &str, files: &Picked, to: &str, chmod: Option<u32>) {
        let into = to.ends_with('/');
        let to = to.trim_matches('/');
        for (path, file) in files {
            let below = path.strip_prefix(source).unwrap_or(path).trim_start_matches('/');
            let name = match below {
                "" if into => format!("{to}/{}", source.rsplit('/').next().unwrap_or(source)),
                "" => to.to_owned(),
                below => format!("{to}/{below}"),
            };
            self.files.insert(name, File { mode: chmod.unwrap_or(file.mode), text: file.text.clone() });
        }
    }

    fn run(&mut self, command: &Command, mounted: &Files, die: &str) {
        let read = |path: &str| {
            let path = path.trim_start_matches('/');
            mounted.get(path).or_else(|| self.files.get(path))
        };
        let text = |path: &str| read(path).map(|file| file.text.clone()).unwrap_or_default();
        let (to, written) = match command {
            Command::Join { files, to } => (to, files.iter().map(|file| text(file)).collect()),
            Command::First { file, to } => {
                (to, text(file).split_inclusive('\n').next().unwrap_or_default().to_owned())
            }
            Command::Say { text, to } => (to, format!("{}\n", self.expand(text))),
            Command::Mode { file, to } => {
                (to, read(file).map(|file| format!("{:o}\n", file.mode)).unwrap_or_default())
            }
            Command::Folder { to } => {
                let folder = if self.workdir.is_empty() { "/" } else { &self.workdir };
                (to, format!("{folder}\n"))
            }
            Command::Remove { file } => {
                self.files.remove(file.trim_start_matches('/'));
                return;
            }
            Command::Roll { to } => {
                self.files.insert(to.trim_start_matches('/').to_owned(), File::new(die));
                return;
            }
        };
        let to = to.trim_start_matches('/').to_owned();
        // Writing into a file that is there keeps its mode.
        let mode = self.files.get(&to).map_or(0o644, |file| file.mode);
        self.files.insert(to, File { mode, text: written });
    }
}
