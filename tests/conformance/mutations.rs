//! Pure: makes further cases of those of the corpus. A mutation is a small change as people make them; podman-stagecache
//! builds the case and then its mutation in the same storage, the engine the mutation alone, and nothing may be stale.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::corpus::{Case, Entry, EntryKind, First, Mode};

/// Instructions that change no file and may trade places.
const METADATA: &[&str] = &[
    "ENV",
    "LABEL",
    "EXPOSE",
    "CMD",
    "ENTRYPOINT",
    "STOPSIGNAL",
    "MAINTAINER",
    "USER",
    "WORKDIR",
    "ARG",
    "VOLUME",
];

/// One mutation of a case.
struct Mutation {
    /// What kind of change it is; each kind is drawn as often as any other.
    kind: &'static str,
    case: Case,
}

/// Every mutation of a case, each as a case `SUBJECT/NAME~MUTATION`; `flags` are what may be given to any case.
pub fn all(case: &Case, flags: &[Vec<String>]) -> Vec<Case> {
    mutations(case, flags).into_iter().map(|mutation| mutation.case).collect()
}

/// One of them, drawn with the seed.
pub fn one(case: &Case, flags: &[Vec<String>], seed: &str) -> Option<Case> {
    let draw = |text: &str| Sha256::digest(format!("{seed} {} {text}", case.id()));
    mutations(case, flags)
        .into_iter()
        .min_by_key(|mutation| (draw(mutation.kind), draw(&mutation.case.name)))
        .map(|mutation| mutation.case)
}

fn mutations(case: &Case, flags: &[Vec<String>]) -> Vec<Mutation> {
    let mut found = Vec::new();
    // What follows the first build of a sequence is written down with it, and what moves a base is one.
    let moves_a_base = case.flags.iter().any(|flag| flag.starts_with("localhost/base"));
    if !case.then.is_empty() || case.at_once > 1 || moves_a_base {
        return found;
    }
    let mut add = |kind: &'static str, variant: &str, change: &dyn Fn(&mut Case)| {
        let name = if variant.is_empty() { kind.to_owned() } else { format!("{kind}-{variant}") };
        found.push(Mutation { kind, case: mutated(case, &name, change) });
    };
    let unchanged = case.exit == Some(0);
    let runs_nothing = |case: &mut Case| case.runs = unchanged.then_some((0, 0));
    add("same", "", &runs_nothing);
    add("touch", "", &|case| {
        for entry in &mut case.entries {
            entry.mtime = Some(entry.mtime.unwrap_or(1_577_934_245) + 86_400);
        }
        // Of an archive the times are content.
        let plain = |entry: &Entry| !matches!(entry.kind, EntryKind::Archive { .. } | EntryKind::Git { .. });
        if case.entries.iter().all(plain) {
            runs_nothing(case);
        }
    });
    for mode in Mode::ALL {
        let other = Mode::ALL.into_iter().find(|other| *other != mode).expect("there are two");
        if case.limits.in_mode(mode) && !case.no_mode_flag {
            add("mode", mode.name(), &|case| {
                case.limits.modes = vec![mode];
                case.after.as_mut().expect("a mutation has one").mode = Some(other);
            });
        }
    }
    for words in flags {
        let name = words.concat().trim_start_matches('-').replace(['/', ' '], "_");
        add("flag", &name, &|case| case.flags.extend(words.iter().cloned()));
    }
    context_files(case, &mut add);
    containerfile(case, &mut add);
    found
}

type Add<'a> = dyn FnMut(&'static str, &str, &dyn Fn(&mut Case)) + 'a;

/// Changes to the files beside the Containerfile.
fn context_files(case: &Case, add: &mut Add) {
    for (index, entry) in case.entries.iter().enumerate() {
        let path = entry.path.to_string_lossy().into_owned();
        let Some(name) = path.strip_prefix("context/").filter(|name| !is_about_the_build(name)) else {
            continue;
        };
        let variant = name.replace(['/', ' '], "_");
        if let EntryKind::File(bytes) = &entry.kind {
            let longer = [bytes.as_slice(), b"mutated\n"].concat();
            add("edit", &variant, &|case| case.entries[index].kind = EntryKind::File(longer.clone()));
            // Size and time stay as they were.
            if let Some((last, front)) = bytes.split_last().and_then(|(_, front)| front.split_last())
                && last.is_ascii_alphanumeric()
            {
                let other = if *last == b'z' { b'y' } else { b'z' };
                let flipped = [front, &[other], &bytes[bytes.len() - 1..]].concat();
                add("flip", &variant, &|case| case.entries[index].kind = EntryKind::File(flipped.clone()));
            }
            add("chmod", &variant, &|case| {
                let mode = case.entries[index].mode.unwrap_or(0o644);
                case.entries[index].mode = Some(mode ^ 0o111);
            });
        }
        add("remove", &variant, &|case| drop(case.entries.remove(index)));
    }
    add("add", "", &|case| {
        case.entries.push(Entry {
            path: "context/zz-mutated".into(),
            kind: EntryKind::File(b"new\n".to_vec()),
            mode: None,
            owner: None,
            mtime: None,
        });
    });
}

/// Changes to the Containerfile's text.
fn containerfile(case: &Case, add: &mut Add) {
    let Some((index, text)) = case.entries.iter().enumerate().find_map(|(index, entry)| {
        let is_it =
            ["context/Containerfile", "context/Dockerfile"].iter().any(|name| entry.path == Path::new(name));
        match &entry.kind {
            EntryKind::File(bytes) if is_it => Some((index, String::from_utf8(bytes.clone()).ok()?)),
            _ => None,
        }
    }) else {
        return;
    };
    for name in text.lines().filter_map(|line| line.strip_prefix("ARG ")) {
        let name = name.split(['=', ' ']).next().unwrap_or_default().to_owned();
        add("build-arg", &name, &|case| case.flags.push(format!("--build-arg={name}=mutated")));
    }
    add("build-arg", "unknown", &|case| case.flags.push("--build-arg=MUTATED=1".to_owned()));
    let Some(instructions) = instructions(&text) else { return };
    let mut write = |kind: &'static str, variant: &str, instructions: &[String]| {
        let text = instructions.concat();
        add(kind, variant, &|case| case.entries[index].kind = EntryKind::File(text.clone().into_bytes()));
    };
    let word =
        |instruction: &String| instruction.split_whitespace().next().unwrap_or("").to_ascii_uppercase();
    let from = instructions.iter().rposition(|instruction| word(instruction) == "FROM");
    let Some(from) = from else { return };
    if instructions.len() > from + 2 {
        write("drop-last", "", &instructions[..instructions.len() - 1]);
    }
    let mut longer = instructions.clone();
    longer.insert(from + 1, "ENV MUTATED=1\n".to_owned());
    write("insert-env", "", &longer);
    longer[from + 1] = "USER 1234\n".to_owned();
    write("insert-user", "", &longer);
    let mut longer = instructions.clone();
    longer.push("RUN echo mutated >/mutated\n".to_owned());
    write("append-run", "", &longer);
    for at in from + 1..instructions.len().saturating_sub(1) {
        let both_metadata =
            [at, at + 1].iter().all(|at| METADATA.contains(&word(&instructions[*at]).as_str()));
        if both_metadata {
            let mut swapped = instructions.clone();
            swapped.swap(at, at + 1);
            write("swap", &at.to_string(), &swapped);
        }
    }
    for (at, instruction) in instructions.iter().enumerate() {
        let plain =
            word(instruction) == "RUN" && instruction.lines().count() == 1 && !instruction.contains('[');
        if plain {
            let mut edited = instructions.clone();
            edited[at] = format!("{} && echo mutated >/mutated\n", instruction.trim_end());
            write("edit-run", &at.to_string(), &edited);
        }
    }
    for instruction in instructions.iter().filter(|instruction| word(instruction) == "FROM") {
        let words: Vec<&str> = instruction.split_whitespace().collect();
        if let [.., keyword, name] = words.as_slice()
            && keyword.eq_ignore_ascii_case("as")
            && !case.flags.iter().any(|flag| flag.starts_with("--target"))
        {
            add("target", name, &|case| case.flags.push(format!("--target={name}")));
        }
    }
}

/// Whether a file of the context says how to build, not what is built.
fn is_about_the_build(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.starts_with("Containerfile") || name.starts_with("Dockerfile") || name.ends_with("ignore")
}

/// The instructions with their comments and ends of line; nothing where that takes a parser.
fn instructions(text: &str) -> Option<Vec<String>> {
    if text.contains("<<") || text.contains("escape") || text.contains("# syntax") || !text.ends_with('\n') {
        return None;
    }
    let (mut instructions, mut open) = (Vec::new(), String::new());
    for line in text.split_inclusive('\n') {
        open.push_str(line);
        let is_text = !line.trim().is_empty() && !line.trim_start().starts_with('#');
        if is_text && !line.trim_end().ends_with('\\') {
            instructions.push(std::mem::take(&mut open));
        }
    }
    open.is_empty().then_some(instructions)
}

/// The changed case behind the case itself. What it comes to is for the engine to say.
fn mutated(case: &Case, name: &str, change: &dyn Fn(&mut Case)) -> Case {
    let mut mutated = Case {
        name: format!("{}~{name}", case.name),
        exit: None,
        messages: Vec::new(),
        expectations: Vec::new(),
        native_from: None,
        runs: None,
        after: Some(Box::new(First { case: case.clone(), mode: None })),
        text: format!("{}~{name}\n", case.text),
        ..case.clone()
    };
    change(&mut mutated);
    mutated
}
