//! Ignore files: which one counts, and what it leaves out of a COPY.
//!
//! Finding follows buildah 1.28.2 (measured) and 1.43 (read, the same): `--ignorefile`; beside each Containerfile
//! `.dockerignore` before `.containerignore`; in the context `.containerignore` before `.dockerignore`, an empty
//! one included. What a line means is `pattern`'s work; walking by these rules is `walk`'s.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use regex::RegexSet;

use super::fs::ContextFs;
use super::pattern::Pattern;
use super::{ContextError, Digest};

/// The rules of one ignore file, last match wins.
///
/// A malformed line is no error until something is copied, as in the engines: `FROM scratch` + `LABEL` builds with
/// an ignore file of `[`, COPY fails. [`IgnoreRules::check`] says whether there is one.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules {
    path: Option<PathBuf>,
    digest: Option<Digest>,
    patterns: Vec<Pattern>,
    set: RegexSet,
    malformed: Option<(String, &'static str)>,
}

impl IgnoreRules {
    /// Finds and reads the ignore file of a build; none at all is fine.
    ///
    /// `containerfiles` are the `--file` values as the user wrote them: the engines look for the file beside a
    /// relative one **in the context directory**, wherever the Containerfile itself was found (1.28.2: from the
    /// parent folder, `-f other/My.cf ctx` looks for `ctx/other/My.cf.dockerignore`). Give the name of the default
    /// Containerfile where none was named, and nothing for one from stdin. `explicit` is `--ignorefile`, relative
    /// to the current directory; with `as_it_stands` slashes around its lines count. A link in the context is followed
    /// within the context only.
    pub fn find<'a>(
        context_dir: &Path,
        containerfiles: impl IntoIterator<Item = &'a Path>,
        explicit: Option<&Path>,
        as_it_stands: bool,
    ) -> Result<Self, ContextError> {
        if let Some(explicit) = explicit {
            return Self::read(explicit, explicit, as_it_stands);
        }
        for containerfile in containerfiles {
            for suffix in [".dockerignore", ".containerignore"] {
                let mut beside = context_dir.join(containerfile).into_os_string();
                beside.push(suffix);
                if Path::new(&beside).exists() {
                    return Self::read(Path::new(&beside), Path::new(&beside), false);
                }
            }
        }
        let context = ContextFs::open(context_dir)?;
        for name in [".containerignore", ".dockerignore"] {
            if let Some(real) = context.resolve(name.as_bytes())? {
                return Self::read(&context.absolute(&real), &context_dir.join(name), false);
            }
        }
        Ok(Self::default())
    }

    fn read(file: &Path, shown: &Path, as_it_stands: bool) -> Result<Self, ContextError> {
        let bytes =
            fs::read(file).map_err(|source| ContextError::io("reading ignore file", shown, source))?;
        Ok(Self { path: Some(shown.to_owned()), ..Self::of(&bytes, as_it_stands) })
    }

    /// The rules that these bytes of an ignore file make.
    ///
    /// `#` is a comment in the first column only; slashes around a line are dropped, then blanks.
    pub fn parse(bytes: &[u8]) -> Self {
        Self::of(bytes, false)
    }

    fn of(bytes: &[u8], as_it_stands: bool) -> Self {
        let text = super::names::lossy(bytes);
        let lines = text.split('\n').filter(|line| !line.starts_with('#'));
        let lines = lines.map(|line| if as_it_stands { line } else { line.trim_matches('/') });
        Self { digest: Some(Digest::of(bytes)), ..Self::compile(Vec::new(), None, lines) }
    }

    /// These rules and, behind them, the values of `--exclude`, which are patterns as they stand (no comments, and
    /// a leading slash is kept: buildah 1.43 leaves out nothing for `--exclude=/a`).
    pub fn with_excludes<S: AsRef<str>>(&self, excludes: &[S]) -> Self {
        let compiled =
            Self::compile(self.patterns.clone(), self.malformed.clone(), excludes.iter().map(AsRef::as_ref));
        Self { path: self.path.clone(), digest: self.digest, ..compiled }
    }

    fn compile<'a>(
        mut patterns: Vec<Pattern>,
        mut malformed: Option<(String, &'static str)>,
        lines: impl Iterator<Item = &'a str>,
    ) -> Self {
        for line in lines {
            match Pattern::new(line) {
                Ok(pattern) => patterns.extend(pattern),
                Err(complaint) => malformed = malformed.or(Some((line.to_owned(), complaint))),
            }
        }
        let set = RegexSet::new(patterns.iter().map(|pattern| &pattern.regex)).unwrap_or_else(|_| {
            malformed = malformed.take().or(Some(("".to_owned(), "the patterns are too large together")));
            RegexSet::empty()
        });
        Self { path: None, digest: None, patterns, set, malformed }
    }

    /// The ignore file that was read, if any.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The digest of its bytes, if there is one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Whether the file still has the bytes that were read.
    pub fn is_as_read(&self) -> bool {
        let Some(path) = &self.path else { return true };
        std::fs::read(path).is_ok_and(|bytes| Some(Digest::of(&bytes)) == self.digest)
    }

    /// Whether nothing is ever left out.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Fails when a line is malformed, as every COPY and ADD of the engines does then.
    pub fn check(&self) -> Result<(), ContextError> {
        match &self.malformed {
            None => Ok(()),
            Some((pattern, complaint)) => Err(ContextError::Pattern {
                pattern: pattern.clone(),
                complaint,
                ignore_file: self.path.clone(),
            }),
        }
    }

    /// Whether `path` (relative to the context, no leading slash) is left out; the context itself never is.
    pub fn excluded(&self, path: &str) -> bool {
        if self.patterns.is_empty() || path.is_empty() || path == "." {
            return false;
        }
        let last = self.set.matches(path).into_iter().next_back();
        last.is_some_and(|index| !self.patterns[index].negated)
    }

    /// Whether an excluded directory is searched for files that a `!` line brings back.
    ///
    /// Only lines that begin with the directory's path in plain text count: with `*` and `!*/b` nothing is copied.
    pub fn searched_anyway(&self, directory: &str) -> bool {
        self.negated().any(|text| text.trim_matches('/').starts_with(directory))
    }

    /// The same question for a directory that is itself a source of the COPY, which asks for the slash behind it.
    pub(super) fn copied_anyway(&self, source: &str) -> bool {
        self.negated().any(|text| {
            text.trim_start_matches('/').strip_prefix(source).is_some_and(|below| below.starts_with('/'))
        })
    }

    fn negated(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().filter(|pattern| pattern.negated).map(|pattern| pattern.text.as_str())
    }
}

impl ContextError {
    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        ContextError::Io { doing, path: path.to_owned(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn left_out(file: &str, paths: &[&str]) -> Vec<String> {
        let rules = IgnoreRules::parse(file.as_bytes());
        rules.check().unwrap();
        paths.iter().filter(|path| rules.excluded(path)).map(|path| path.to_string()).collect()
    }

    #[test]
    fn the_last_match_wins() {
        assert_eq!(left_out("*\n!a\n", &["a", "a/b", "b"]), ["b"]);
        assert_eq!(left_out("!a\n*\n", &["a", "b"]), ["a", "b"]);
        assert_eq!(left_out("*.md\n!README.md\nREADME*", &["README.md", "x.md", "x"]), ["README.md", "x.md"]);
    }

    #[test]
    fn comments_stand_in_the_first_column() {
        assert_eq!(left_out("#a\n #b\n", &["#a", "#b"]), ["#b"]);
    }

    #[test]
    fn the_context_itself_is_never_left_out() {
        assert_eq!(left_out("**\n.", &[".", "", "a"]), ["a"]);
    }

    #[test]
    fn an_excluded_directory_is_searched_only_for_plain_prefixes() {
        let rules = IgnoreRules::parse(b"*\n!src/lib/*.rs\n!*/b\n");
        for (directory, searched) in
            [("src", true), ("src/lib", true), ("sr", true), ("b", false), ("a", false)]
        {
            assert_eq!(rules.searched_anyway(directory), searched, "{directory}");
        }
        assert!(rules.copied_anyway("src") && !rules.copied_anyway("sr"));
    }

    #[test]
    fn a_malformed_line_is_reported_when_asked() {
        let rules = IgnoreRules::parse(b"ok\n[\n");
        assert_eq!(rules.check().unwrap_err().to_string(), "ignore pattern \"[\": syntax error in pattern");
    }

    #[test]
    fn excludes_stand_behind_the_file() {
        let rules = IgnoreRules::parse(b"*.md").with_excludes(&["!a.md", "/b", "#c"]);
        let left_out: Vec<_> =
            ["a.md", "b.md", "b", "#c"].into_iter().filter(|path| rules.excluded(path)).collect();
        assert_eq!(left_out, ["b.md", "#c"]);
    }

    #[test]
    fn the_file_beside_the_containerfile_comes_before_those_of_the_context() {
        let dir = tempfile::tempdir().unwrap();
        let find = |containerfile: Option<&Path>, explicit: Option<&Path>| {
            let rules = IgnoreRules::find(dir.path(), containerfile, explicit, false).unwrap();
            rules.path().map(|path| path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned())
        };
        let cf = Some(Path::new("Cf"));
        assert_eq!(find(cf, None), None);
        for name in [".dockerignore", ".containerignore", "Cf.containerignore", "Cf.dockerignore"] {
            fs::write(dir.path().join(name), "a").unwrap();
            assert_eq!(find(cf, None).as_deref(), Some(name));
        }
        assert_eq!(find(None, None).as_deref(), Some(".containerignore"));
        let explicit = dir.path().join("own");
        assert!(
            IgnoreRules::find(dir.path(), cf, Some(&explicit), false).is_err(),
            "a named file has to exist"
        );
        fs::write(&explicit, "b").unwrap();
        assert_eq!(find(cf, Some(&explicit)).as_deref(), Some("own"));
    }

    #[test]
    fn a_link_to_an_ignore_file_stays_in_the_context() {
        let dir = tempfile::tempdir().unwrap();
        let context = dir.path().join("context");
        fs::create_dir(&context).unwrap();
        fs::write(dir.path().join("rules"), "outside").unwrap();
        std::os::unix::fs::symlink("../rules", context.join(".containerignore")).unwrap();
        assert!(!IgnoreRules::find(&context, None, None, false).unwrap().excluded("outside"));
        fs::write(context.join("rules"), "inside").unwrap();
        assert!(IgnoreRules::find(&context, None, None, false).unwrap().excluded("inside"));
    }

    proptest! {
        #[test]
        fn no_ignore_file_panics(file in "[a*?!/.#\\[\\]\\\\^(){}+|$\\n -]{0,24}", path in "[ab/.*-]{1,10}") {
            let rules = IgnoreRules::parse(file.as_bytes());
            rules.excluded(&path);
            rules.searched_anyway(&path);
            let _ = rules.check();
        }

        #[test]
        fn bytes_never_panic(file in prop::collection::vec(any::<u8>(), 0..40)) {
            IgnoreRules::parse(&file).excluded("a/b");
        }
    }

    #[test]
    fn many_stars_are_quick() {
        let rules =
            IgnoreRules::parse(format!("{}b\n{}b\n", "*a".repeat(200), "**/a".repeat(200)).as_bytes());
        rules.check().unwrap();
        let path = "a".repeat(255);
        assert!(!rules.excluded(&path));
        assert!(!rules.excluded(&vec!["a"; 255].join("/")));
    }
}
