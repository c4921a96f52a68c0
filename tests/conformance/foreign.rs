//! Cases of folders that nobody here wrote: each folder with a Containerfile, what `record-bats` wrote down of others'
//! test scripts, and the Containerfiles in tables of Go tests. Nothing of them is kept here.
//!
//! What such a case asks for is only that both sides do the same. Images that it names and does not build are the
//! suite's own base under that name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use regex::Regex;
use sha2::{Digest, Sha256};

use crate::corpus::{Case, Copied, Entry, EntryKind, Mode, Output, ResultName};
use crate::servers::HexOf;

/// How long a build of such a case may take: some wait for what never comes.
const SECONDS: u64 = 30;

/// Texts larger than this are no Containerfiles.
const LARGE: u64 = 1 << 16;

/// The cases of the folders, and the images that they stand on.
pub fn cases(folders: &[PathBuf]) -> Result<(Vec<Case>, BTreeSet<String>)> {
    let (mut cases, mut images) = (Vec::new(), BTreeSet::new());
    for folder in folders {
        let top = fs::canonicalize(folder).with_context(|| format!("looking for {}", folder.display()))?;
        let mut reader = Reader { top: top.clone(), cases: Vec::new(), images: BTreeSet::new() };
        reader.walk(&top)?;
        ensure!(!reader.cases.is_empty(), "no Containerfile below {}", top.display());
        cases.append(&mut reader.cases);
        images.append(&mut reader.images);
    }
    // A name that builds give is theirs.
    let builds = cases.iter().flat_map(Case::builds);
    let given: BTreeSet<String> = builds
        .flat_map(|build| values_of(&build.flags, &["-t", "--tag", "--manifest"]))
        .map(|name| full_name(&name))
        .collect();
    images.retain(|image| !given.contains(image));
    let mut names = BTreeMap::new();
    for case in &mut cases {
        let count: &mut usize = names.entry(case.id()).or_default();
        *count += 1;
        if *count > 1 {
            case.name = format!("{}-{count}", case.name);
        }
    }
    Ok((cases, images))
}

struct Reader {
    top: PathBuf,
    cases: Vec<Case>,
    images: BTreeSet<String>,
}

impl Reader {
    fn walk(&mut self, folder: &Path) -> Result<()> {
        if folder.join("1/args").exists() || folder.join("1/call").exists() {
            return self.recorded(folder);
        }
        let mut folders = Vec::new();
        for path in children(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if is_containerfile(&name) && path.is_file() {
                self.whole_folder(folder, &name)?;
            } else if name.ends_with("_test.go") {
                self.go_test(&path)?;
            }
        }
        folders.iter().try_for_each(|folder| self.walk(folder))
    }

    /// A folder as context, with one of its Containerfiles.
    fn whole_folder(&mut self, folder: &Path, file: &str) -> Result<()> {
        let name = match folder.strip_prefix(&self.top) {
            Ok(rest) if rest.as_os_str().is_empty() => file.to_owned(),
            Ok(rest) => format!("{}:{file}", rest.display()),
            Err(_) => file.to_owned(),
        };
        let flags = ["-f", file, "."].map(str::to_owned).to_vec();
        let case = self.case("folders", &name, &[(folder.to_owned(), PathBuf::from("context"))], flags)?;
        self.cases.push(case);
        Ok(())
    }

    /// What `record-bats` wrote down of a test: its builds in a row.
    fn recorded(&mut self, folder: &Path) -> Result<()> {
        let subject = folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut builds: Vec<Case> = Vec::new();
        let mut calls = Vec::new();
        for number in 1.. {
            let at = folder.join(number.to_string());
            if let Ok(call) = fs::read(at.join("call")) {
                calls.push(words(&call));
                continue;
            }
            let Ok(args) = fs::read(at.join("args")) else { break };
            let copied = (at.join("files"), PathBuf::from("context"));
            let mut case = self.case(&subject, &name, &[copied], words(&args))?;
            case.env = words(&fs::read(at.join("env"))?);
            let cwd = fs::read_to_string(at.join("cwd"))?;
            case.cwd = match cwd.strip_prefix("@CONTEXT@") {
                Some(below) => format!("context{below}"),
                None => "context".to_owned(),
            };
            fs::create_dir_all(at.join("files"))?;
            if let Ok(bytes) = fs::read(at.join("stdin")) {
                self.images_of(&String::from_utf8_lossy(&bytes), &case.flags);
                case.text.push_str(&String::from_utf8_lossy(&bytes));
                case.stdin = Some("stdin".to_owned());
                case.entries.push(file("stdin", bytes));
            }
            case.entries.push(folder_at(&case.cwd));
            case.outputs = outputs(&case.flags, &case.cwd);
            case.changes.calls = std::mem::take(&mut calls);
            case.changes.afresh = true;
            let rest = (&case.env, &case.cwd, &case.changes.calls, &case.result, &case.outputs);
            case.text.push_str(&format!("{rest:?}"));
            builds.push(case);
        }
        let mut builds = builds.into_iter();
        if let Some(mut first) = builds.next() {
            first.then = builds.collect();
            let texts: String = first.then.iter().map(|case| case.text.as_str()).collect();
            first.text.push_str(&texts);
            // The builds before decide whether a mode changes anything: one of both for all.
            let modes = first.then.iter().map(|case| case.limits.modes.clone());
            if modes.chain([first.limits.modes.clone()]).any(|modes| modes.is_empty()) {
                first.limits.modes.clear();
            }
            self.cases.push(first);
        }
        Ok(())
    }

    /// The Containerfiles that stand in a Go test: lists of lines with the folder they are for, and raw texts.
    fn go_test(&mut self, path: &Path) -> Result<()> {
        let text = fs::read_to_string(path)?;
        let folder = path.parent().unwrap_or(path);
        let subject = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let value = |entry: &str, key: &str| {
            let pattern = format!(r#"(?m)^\s+{key}:\s+"([^"]*)""#);
            Some(Regex::new(&pattern).ok()?.captures(entry)?[1].to_owned())
        };
        let line = Regex::new(r#"(?m)^\s+(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`),"#)?;
        let pair = Regex::new(r#""([A-Za-z_0-9]+)":\s+"([^"]*)""#)?;
        for entry in text.split("\n\t{\n").skip(1) {
            let entry = entry.split("\n\t},").next().unwrap_or(entry);
            let Some(name) = value(entry, "name") else { continue };
            let context = value(entry, "contextDir").unwrap_or_default();
            let context = folder.join("testdata").join(context);
            let mut copied = Vec::new();
            if context.is_dir() && context != folder.join("testdata") {
                copied.push((context, PathBuf::from("context")));
            }
            let mut flags = Vec::new();
            let mut entries = Vec::new();
            if let Some((_, list)) = entry.split_once("dockerfileContents:") {
                let list = list.split("}, \"\\n\"").next().unwrap_or(list);
                let lines = line.captures_iter(list).map(|found| match (found.get(1), found.get(2)) {
                    (Some(quoted), _) => unquoted(quoted.as_str()) + "\n",
                    (None, raw) => raw.map_or("", |raw| raw.as_str()).to_owned() + "\n",
                });
                let content: String = lines.collect();
                entries.push(file("Containerfile.of-the-table", content.into_bytes()));
                flags.extend(["-f", "../Containerfile.of-the-table"].map(str::to_owned));
            } else if let Some(name) = value(entry, "dockerfile") {
                flags.extend(["-f".to_owned(), name]);
            }
            if let Some((_, list)) = entry.split_once("buildArgs:") {
                let list = list.split('}').next().unwrap_or(list);
                for found in pair.captures_iter(list) {
                    flags
                        .extend(["--build-arg".to_owned(), format!("{}={}", &found[1], unquoted(&found[2]))]);
                }
            }
            flags.extend(value(entry, "buildTarget").map(|target| format!("--target={target}")));
            flags.push(".".to_owned());
            let case = self.case(&subject, &name, &copied, flags)?;
            self.push_with(case, entries);
        }
        // Raw texts, in a folder with nothing else.
        let raw = Regex::new("`([^`]*)`")?;
        let from = Regex::new(r"(?m)^\s*FROM \S")?;
        for (number, found) in raw.captures_iter(&text).enumerate() {
            if !from.is_match(&found[1]) {
                continue;
            }
            let content = found[1].replace("%s", "quay.io/libpod/alpine:latest").into_bytes();
            let case = self.case(&subject, &format!("text-{number}"), &[], vec![".".to_owned()])?;
            self.push_with(case, vec![file("context/Containerfile", content)]);
        }
        Ok(())
    }

    fn push_with(&mut self, mut case: Case, entries: Vec<Entry>) {
        for entry in &entries {
            if let EntryKind::File(bytes) = &entry.kind {
                let text = String::from_utf8_lossy(bytes).into_owned();
                self.images_of(&text, &case.flags);
                case.text.push_str(&text);
            }
        }
        case.entries.extend(entries);
        self.cases.push(case);
    }

    /// A case with copies of folders. Every image that a text in them names is noted.
    fn case(
        &mut self,
        subject: &str,
        name: &str,
        copied: &[(PathBuf, PathBuf)],
        mut flags: Vec<String>,
    ) -> Result<Case> {
        // Nothing is pulled.
        flags.retain(|flag| !flag.starts_with("--pull"));
        let mut text = format!("{flags:?}\n");
        let mut copies = Vec::new();
        for (from, to) in copied {
            let mut hasher = Sha256::new();
            self.look_at(from, &flags, &mut hasher)?;
            text.push_str(&format!("{} {:x}\n", to.display(), HexOf(&hasher.finalize())));
            copies.push(Copied { from: from.clone(), to: to.clone() });
        }
        let of = |flag: &&String| flag.starts_with("--layers") || flag.starts_with("--squash");
        let mode_of_its_own = flags.iter().any(|flag| of(&flag));
        let mut case = Case {
            subject: subject.to_owned(),
            name: name.replace(['/', ' ', '~'], "-"),
            cwd: "context".to_owned(),
            context: None,
            exit: None,
            at_once: 1,
            result: result(&flags),
            no_mode_flag: mode_of_its_own,
            seconds: Some(SECONDS),
            copies,
            text,
            flags,
            ..Case::default()
        };
        if mode_of_its_own {
            case.limits.modes = vec![Mode::Layers];
        }
        Ok(case)
    }

    fn look_at(&mut self, path: &Path, flags: &[String], hasher: &mut Sha256) -> Result<()> {
        if !path.exists() && !path.is_symlink() {
            return Ok(());
        }
        let found = fs::symlink_metadata(path)?;
        hasher.update(format!("{} {:?}\0", path.display(), found.permissions()));
        if found.is_dir() {
            for child in children(path)? {
                self.look_at(&child, flags, hasher)?;
            }
        } else if found.is_symlink() {
            hasher.update(fs::read_link(path)?.as_os_str().as_encoded_bytes());
        } else if found.is_file() {
            let bytes = fs::read(path)?;
            if found.len() < LARGE
                && let Ok(text) = std::str::from_utf8(&bytes)
            {
                self.images_of(text, flags);
            }
            hasher.update(bytes);
        }
        Ok(())
    }

    /// Notes the images that a text names, if it is a Containerfile.
    fn images_of(&mut self, text: &str, flags: &[String]) {
        let given = flags.iter().filter_map(|flag| {
            let flag = flag.strip_prefix("--build-arg=").or(flag.strip_prefix("--from=")).unwrap_or(flag);
            Some(flag.rsplit_once("docker-image://").map_or(flag, |(_, image)| image))
        });
        let mut arguments: BTreeMap<String, String> = BTreeMap::new();
        let (mut stages, mut named) = (BTreeSet::new(), BTreeSet::new());
        for text in given {
            match text.split_once('=') {
                Some((name, value)) => {
                    arguments.insert(name.to_owned(), value.to_owned());
                }
                None if flags.windows(2).any(|two| two[0] == "--from" && two[1] == text) => {
                    named.insert(text.to_owned());
                }
                None => {}
            }
        }
        let is_one = text.lines().any(|line| line.trim_start().to_ascii_uppercase().starts_with("FROM "));
        for line in text.lines().filter(|_| is_one) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [instruction, rest @ ..] = words.as_slice() else { continue };
            match instruction.to_ascii_uppercase().as_str() {
                "ARG" => {
                    for word in rest {
                        if let Some((name, value)) = word.split_once('=') {
                            let value = value.trim_matches(['"', '\'']).to_owned();
                            arguments.entry(name.to_owned()).or_insert(value);
                        }
                    }
                }
                "FROM" => {
                    let rest: Vec<&&str> = rest.iter().filter(|word| !word.starts_with("--")).collect();
                    if let [image, ..] = rest.as_slice() {
                        named.insert(expanded(image, &arguments));
                    }
                    if let [_, keyword, name] = rest.as_slice()
                        && keyword.eq_ignore_ascii_case("as")
                    {
                        stages.insert(name.to_ascii_lowercase());
                    }
                }
                _ => {}
            }
            for (_, image) in line.match_indices("from=").map(|(at, key)| (at, &line[at + key.len()..])) {
                let image = image.split([' ', ',', '\t']).next().unwrap_or_default();
                named.insert(expanded(image.trim_matches('"'), &arguments));
            }
        }
        let image = Regex::new(
            r"^[a-z0-9]+([._-]+[a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9._-]*)?$",
        )
        .expect("a valid pattern");
        for name in named {
            let plain = name.trim_start_matches("docker.io/");
            let is_number = plain.chars().all(|c| c.is_ascii_digit());
            if image.is_match(&name) && !is_number && plain != "scratch" && !stages.contains(plain) {
                self.images.insert(full_name(&name));
            }
        }
    }
}

/// The name that a storage has for an image.
fn full_name(name: &str) -> String {
    let first = name.split('/').next().unwrap_or_default();
    let has_host = name.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    let name = match (has_host, name.contains('/')) {
        (true, _) => name.to_owned(),
        (false, true) => format!("docker.io/{name}"),
        (false, false) => format!("docker.io/library/{name}"),
    };
    let last = name.rsplit('/').next().unwrap_or_default();
    if last.contains(':') { name } else { format!("{name}:latest") }
}

/// The text with `$X`, `${X}` and `${X:-default}` filled in.
fn expanded(text: &str, arguments: &BTreeMap<String, String>) -> String {
    let variable =
        Regex::new(r"\$(?:\{([A-Za-z0-9_]+)(?::-([^}]*))?\}|([A-Za-z0-9_]+))").expect("a valid pattern");
    let value = |found: &regex::Captures| {
        let name = found.get(1).or(found.get(3)).map_or("", |name| name.as_str());
        let default = found.get(2).map_or("", |text| text.as_str());
        arguments.get(name).cloned().unwrap_or_else(|| default.to_owned())
    };
    variable.replace_all(text.trim_matches(['"', '\'']), value).into_owned()
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    Ok(paths)
}

fn is_containerfile(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["dockerfile", "containerfile"].iter().any(|stem| lower.starts_with(stem)) && !lower.ends_with("ignore")
}

fn words(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.split_terminator('\0').map(str::to_owned).collect()
}

fn file(path: &str, bytes: Vec<u8>) -> Entry {
    Entry { path: PathBuf::from(path), kind: EntryKind::File(bytes), mode: None, owner: None, mtime: None }
}

fn folder_at(path: &str) -> Entry {
    Entry { path: PathBuf::from(path), kind: EntryKind::Dir, mode: None, owner: None, mtime: None }
}

fn unquoted(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some(c) => c,
                None => break,
            },
            (c, false) => c,
        });
    }
    out
}

/// Where the image is found: where the call has an `--iidfile` of its own, there.
fn result(flags: &[String]) -> ResultName {
    // What goes elsewhere is in no storage.
    let is_file = |name: &String| {
        ["dir:", "oci:", "oci-archive:", "docker-archive:"]
            .iter()
            .any(|transport| name.starts_with(transport))
    };
    if values_of(flags, &["-t", "--tag"]).iter().any(is_file) {
        return ResultName::None;
    }
    match value_of(flags, &["--iidfile"]) {
        Some(path) => ResultName::IidFile(path.trim_start_matches("@CONTEXT@/").to_owned()),
        None => ResultName::Iid,
    }
}

fn value_of(flags: &[String], names: &[&str]) -> Option<String> {
    values_of(flags, names).into_iter().next()
}

fn values_of(flags: &[String], names: &[&str]) -> Vec<String> {
    let value = |(index, flag): (usize, &String)| {
        names.iter().find_map(|name| match flag.strip_prefix(name)? {
            "" => flags.get(index + 1).cloned(),
            rest => rest.strip_prefix('=').map(str::to_owned),
        })
    };
    flags.iter().enumerate().filter_map(value).collect()
}

/// The folder or archive that the call exports to.
fn outputs(flags: &[String], cwd: &str) -> Vec<Output> {
    let Some(value) = value_of(flags, &["--output", "-o"]) else { return Vec::new() };
    let fields: BTreeMap<&str, &str> = value.split(',').filter_map(|field| field.split_once('=')).collect();
    let path = fields.get("dest").copied().unwrap_or(&value);
    let path = match path.strip_prefix("@CONTEXT@/") {
        Some(below) => format!("context/{below}"),
        None if path == "-" || path.starts_with('/') || path.contains("..") => return Vec::new(),
        None => format!("{cwd}/{path}"),
    };
    match fields.get("type") {
        _ if fields.get("dest").is_none() && value.contains("type=") => Vec::new(),
        Some(&"tar") => vec![Output::Tar(path)],
        Some(&"local") | None => vec![Output::Dir(path)],
        Some(_) => Vec::new(),
    }
}
