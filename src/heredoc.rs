//! Says an instruction with heredocs in the words of an engine that has none (buildah before 1.33).
//!
//! Pure. What comes out is what 1.39 and 1.43 leave for the same lines: a RUN gets its text as the one word of an
//! exec form, a COPY gets files from a build context of its own, and the history is mended afterwards. Read in
//! buildah's `imagebuildah/stage_executor.go` (`Run`, `performCopy`, `getCreatedBy`).

use anyhow::bail;

use crate::containerfile::{Heredoc, Instruction, Keyword, Scope, decode};

/// The build context that holds the texts of a step's heredocs.
pub const CONTEXT: &str = "stagecache-heredocs";

/// One instruction with heredocs as an engine without them gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithoutHeredocs {
    /// The lines that take its place.
    pub text: Vec<u8>,
    /// What has to lie in [`CONTEXT`], by path.
    pub files: Vec<(String, Vec<u8>)>,
    history: Mend,
}

/// How the engine's history differs from that of an engine that has heredocs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mend {
    Nothing,
    /// Of a RUN: what stands behind `/bin/sh -c `, and what should.
    Command {
        rendered: String,
        native: String,
    },
    /// Of an ADD, or of two instructions where one was written: the destination, and the keyword.
    Copies {
        destination: String,
        keyword: &'static str,
        twice: bool,
    },
}

impl WithoutHeredocs {
    /// Renders an instruction whose variables are those of `scope`; `number` tells its files from those of others.
    ///
    /// # Errors
    /// When a text cannot be expanded, or a heredoc's name cannot be the name of a file here.
    pub fn new(instruction: &Instruction, scope: &Scope, number: usize) -> anyhow::Result<Self> {
        match instruction.keyword {
            Keyword::Run => Ok(Self::run(instruction, scope)),
            Keyword::Copy | Keyword::Add => Self::copy(instruction, scope, number),
            // A trigger is its line: no engine keeps the text that belongs to it.
            _ => {
                let text = [instruction.original.as_slice(), b"\n"].concat();
                Ok(Self { text, files: Vec::new(), history: Mend::Nothing })
            }
        }
    }

    fn run(instruction: &Instruction, scope: &Scope) -> Self {
        let command = command(instruction);
        let shell = match scope.shell() {
            [] => ["/bin/sh".to_owned(), "-c".to_owned()].to_vec(),
            shell => shell.to_vec(),
        };
        let words: Vec<String> = shell.into_iter().chain([command]).collect();
        let mut rendered = decode(instruction.flags_written());
        if !rendered.is_empty() {
            rendered.push(' ');
        }
        rendered.push_str(&serde_json::json!(words).to_string());
        let bodies = instruction.heredocs.iter().map(|h| format!("\n{}", decode(&h.body).trim()));
        let native = format!("{}{}", behind_keyword(instruction), bodies.collect::<String>());
        Self {
            text: format!("RUN {rendered}\n").into_bytes(),
            files: Vec::new(),
            history: Mend::Command { rendered, native },
        }
    }

    fn copy(instruction: &Instruction, scope: &Scope, number: usize) -> anyhow::Result<Self> {
        let words = instruction.words();
        let Some((destination, sources)) = words.split_last() else { bail!("no destination") };
        let flags = decode(instruction.flags_written());
        let mut files = Vec::new();
        let mut paths = String::new();
        for (n, heredoc) in instruction.heredocs.iter().enumerate() {
            let name = heredoc.name.rsplit('/').next().unwrap_or_default();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@');
            if name.is_empty() || matches!(name, "." | "..") || !name.chars().all(is_plain) {
                bail!("a heredoc named `{}` needs buildah 1.33", heredoc.name);
            }
            let path = format!("{number}/{n}/{name}");
            paths.push_str(&format!("/{path} "));
            files.push((path, file(heredoc, scope)?));
        }
        // The last `--from` is the one that counts.
        let mut text = format!("COPY {flags} --from={CONTEXT} {paths}{destination}\n");
        let others: Vec<&str> =
            sources.iter().filter(|source| !source.starts_with("<<")).map(String::as_str).collect();
        let keyword = if instruction.keyword == Keyword::Add { "ADD" } else { "COPY" };
        if !others.is_empty() {
            text.push_str(&format!("{keyword} {flags} {} {destination}\n", others.join(" ")));
        }
        let twice = !others.is_empty();
        let history = match (keyword, twice) {
            ("COPY", false) => Mend::Nothing,
            _ => Mend::Copies { destination: destination.clone(), keyword, twice },
        };
        Ok(Self { text: text.into_bytes(), files, history })
    }

    /// Whether the engine makes two history entries of it.
    pub fn is_two(&self) -> bool {
        matches!(self.history, Mend::Copies { twice: true, .. })
    }

    /// What the history says of its layer, from what the engine wrote.
    pub fn created_by(&self, written: &str) -> String {
        match &self.history {
            Mend::Nothing => written.to_owned(),
            Mend::Command { rendered, native } => match written.strip_suffix(rendered.as_str()) {
                Some(front) => format!("{front}{native}"),
                None => written.to_owned(),
            },
            Mend::Copies { destination, keyword, .. } => {
                let marked = written.trim_end().ends_with(&format!(" in {destination}"));
                match written.strip_prefix("/bin/sh -c #(nop) COPY ").filter(|_| marked) {
                    Some(rest) => format!("/bin/sh -c #(nop) {keyword} {rest}"),
                    None => written.to_owned(),
                }
            }
        }
    }

    /// Whether an entry of the history is one of the two that stand for this one instruction.
    pub fn is_of(&self, written: &str) -> bool {
        match &self.history {
            Mend::Copies { destination, .. } => {
                written.starts_with("/bin/sh -c #(nop) ")
                    && written.trim_end().ends_with(&format!(" in {destination}"))
            }
            _ => false,
        }
    }
}

/// What the shell is given: the text alone where the line is nothing but a heredoc, else the line with the texts behind it,
/// which the shell then takes for heredocs of its own.
fn command(instruction: &Instruction) -> String {
    let bodies = instruction.heredocs.iter().map(|heredoc| (heredoc, document(heredoc)));
    if instruction.is_one_heredoc() {
        let text = bodies.map(|(_, text)| text).next().unwrap_or_default();
        return match text.trim_start_matches('\n').split_once('\n') {
            // The program that the first line names reads the text; the engine gives it a file, here the shell does.
            Some((first, _)) if first.starts_with("#!") => {
                let end = delimiter(&text);
                let program = first.trim_start_matches(['#', '!']);
                format!("{program} /dev/fd/3 3<<'{end}'{text}\n{end}")
            }
            _ => text,
        };
    }
    let mut command = instruction.rest.clone();
    for (heredoc, text) in bodies {
        command.push_str(&format!("{text}\n{}", heredoc.name));
    }
    command
}

/// A heredoc's text as the engines have it: a line break in front of each line, none behind the last.
fn document(heredoc: &Heredoc) -> String {
    let text = decode(&heredoc.text());
    match text.strip_suffix('\n') {
        Some(text) => format!("\n{text}"),
        None => text,
    }
}

/// A word that is no line of the text.
fn delimiter(text: &str) -> String {
    let mut end = "STAGECACHE_END".to_owned();
    while text.lines().any(|line| line == end) {
        end.push('_');
    }
    end
}

/// A heredoc's text as a file: an empty one is an empty line, as the engines have it.
fn file(heredoc: &Heredoc, scope: &Scope) -> anyhow::Result<Vec<u8>> {
    let text = scope.heredoc(heredoc)?;
    Ok(if text.is_empty() { b"\n".to_vec() } else { text })
}

fn behind_keyword(instruction: &Instruction) -> String {
    let line = decode(&instruction.original);
    line.get(4..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::containerfile::{BuildArgs, Platform, Rules, StageBase, read};

    /// What an engine of version 1.28 gets for the last instruction of a file, and the file's scope there.
    fn without(source: &str) -> WithoutHeredocs {
        let source = format!("FROM base\n{source}");
        let file = read(source.into_bytes(), Path::new("Containerfile"), Rules::Buildah28).unwrap();
        let platform = Platform::parse("linux/amd64").unwrap();
        let args = BuildArgs {
            values: BTreeMap::new(),
            target: platform.clone(),
            target_is_explicit: false,
            build: platform,
        };
        let mut scope = Scope::new(Rules::Buildah28, args, &[]).unwrap();
        scope = scope.enter_stage(StageBase::default()).unwrap();
        let instructions: Vec<_> = file.instructions().skip(1).cloned().collect();
        let (last, before) = instructions.split_last().unwrap();
        for instruction in before {
            scope.apply(instruction).unwrap();
        }
        WithoutHeredocs::new(last, &scope, 7).unwrap()
    }

    fn text(plain: &WithoutHeredocs) -> &str {
        std::str::from_utf8(&plain.text).unwrap()
    }

    #[test]
    fn a_run_gets_its_lines_as_one_word_and_its_history_back() {
        let plain = without("RUN --mount=type=tmpfs,target=/t <<EOF\necho \"a\"\n# b\nEOF\n");
        let rendered = r##"--mount=type=tmpfs,target=/t ["/bin/sh","-c","\necho \"a\"\n# b"]"##;
        assert_eq!(text(&plain), format!("RUN {rendered}\n"));
        assert_eq!(
            plain.created_by(&format!("|1 A /bin/sh -c {rendered}")),
            "|1 A /bin/sh -c --mount=type=tmpfs,target=/t <<EOF\necho \"a\"\n# b"
        );
    }

    #[test]
    fn a_command_with_heredocs_gets_them_behind_its_line() {
        let plain = without("SHELL [\"/bin/ash\", \"-ec\"]\nRUN cat <<-A 3<<'B'\n\t1\n\tA\n2\nB\n");
        assert_eq!(text(&plain), "RUN [\"/bin/ash\",\"-ec\",\"cat <<-A 3<<'B'\\n1\\nA\\n2\\nB\"]\n");
    }

    #[test]
    fn a_script_is_read_by_the_program_that_it_names() {
        let plain = without("RUN <<EOF\n#!/usr/bin/env python3\nprint(1)\nEOF\n");
        let command = "/usr/bin/env python3 /dev/fd/3 3<<'STAGECACHE_END'\n#!/usr/bin/env python3\nprint(1)\nSTAGECACHE_END";
        assert_eq!(text(&plain), format!("RUN {}\n", serde_json::json!(["/bin/sh", "-c", command])));
    }

    #[test]
    fn a_copy_gets_files_from_a_context_of_its_own() {
        let plain = without("ARG A=x\nCOPY --chown=1 <<EOF <<'b.txt' /to/\n$A\nEOF\n$A\nb.txt\n");
        assert_eq!(text(&plain), "COPY --chown=1 --from=stagecache-heredocs /7/0/EOF /7/1/b.txt /to/\n");
        let files = [("7/0/EOF".to_owned(), b"x\n".to_vec()), ("7/1/b.txt".to_owned(), b"$A\n".to_vec())];
        assert_eq!(plain.files, files);
        assert_eq!(
            plain.created_by("/bin/sh -c #(nop) COPY multi:0 in /to/ "),
            "/bin/sh -c #(nop) COPY multi:0 in /to/ "
        );
    }

    #[test]
    fn an_add_is_a_copy_that_says_add_in_the_history() {
        let plain = without("ADD a <<EOF /to/\nEOF\n");
        assert_eq!(text(&plain), "COPY  --from=stagecache-heredocs /7/0/EOF /to/\nADD  a /to/\n");
        assert_eq!(plain.files, [("7/0/EOF".to_owned(), b"\n".to_vec())]);
        assert!(plain.is_two());
        assert_eq!(
            plain.created_by("/bin/sh -c #(nop) COPY file:0 in /to/ "),
            "/bin/sh -c #(nop) ADD file:0 in /to/ "
        );
    }

    #[test]
    fn a_file_that_the_engine_understands_is_left_to_it() {
        let heredocs = |source: &str| {
            let source = format!("FROM base\n{source}");
            let file = read(source.into_bytes(), Path::new("f"), Rules::Buildah28).unwrap();
            file.instructions().map(|i| i.heredocs.len()).sum::<usize>()
        };
        for (source, expected) in [
            ("RUN <<EOF\necho\nEOF\n", 1),
            ("RUN <<EOF\nENV\nEOF\n", 1),
            ("COPY <<EOF /a\nENV A=1\nEOF\n", 1),
            ("RUN cat <<EOF\n", 0),
            ("RUN cat <<ENV\nENV A=1\n", 0),
            ("ONBUILD RUN <<EOF\necho\nEOF\n", 0),
            ("RUN echo $((1 <<2))\nNONSENSE\n", 0),
        ] {
            assert_eq!(heredocs(source), expected, "{source}");
        }
    }
}
