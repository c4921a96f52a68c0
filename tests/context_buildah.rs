//! What a COPY takes from the context, said by this crate and by the buildah that is installed.
//!
//! Each case names the files that arrive; buildah and [`ContextReader`] both have to agree with the list.
//! Without a buildah that can build `FROM scratch` the engine's half fails: a claim about it that was not tried is none.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use podman_stagecache::context::{ContextReader, CopyKind, CopyRequest, FileFact, IgnoreRules, ReadOptions};

/// The tree that all cases copy from. Every file has a name of its own, so it is known wherever it lands.
const FILES: [&str; 13] = [
    "a/x",
    "a/b/y",
    "d/a/z",
    "d/keep.md",
    "top.txt",
    "notes.md",
    ".git/HEAD",
    ".dot",
    "sp ace",
    "#hash",
    "a+b",
    "aab",
    "été",
];

/// All of them, and the links `la` to `a` and `lt` to `top.txt`.
const ALL: &str = "x y z keep.md top.txt notes.md HEAD .dot sp_ace #hash a+b aab été la lt";

/// What arrives when the instruction fails.
const FAILS: &str = "!";

struct Case {
    ignore: &'static str,
    sources: &'static str,
    arrives: String,
}

fn only(ignore: &'static str, arrives: &str) -> Case {
    copy(ignore, ".", arrives)
}

/// The whole context without these.
fn without(ignore: &'static str, missing: &str) -> Case {
    let missing: Vec<_> = missing.split(' ').collect();
    let left: Vec<_> = ALL.split(' ').filter(|name| !missing.contains(name)).collect();
    only(ignore, &left.join(" "))
}

fn copy(ignore: &'static str, sources: &'static str, arrives: &str) -> Case {
    let arrives = arrives.to_owned();
    Case { ignore, sources, arrives }
}

fn cases() -> Vec<Case> {
    vec![
        // Where a pattern is anchored
        without("", ""),
        without("a", "x y"),
        without("/a", "x y"),
        without("a/", "x y"),
        without("./a", "x y"),
        without(" /a", ""),
        without("../a", ""),
        without("  a  ", "x y"),
        without("**/a", "x y z"),
        without("a/b/../x", "x"),
        without("a//b", "y"),
        without(".", ""),
        without("/", ""),
        without("la", "la"),
        without(".git", "HEAD"),
        // Wildcards
        only("*", ""),
        only("*/", ""),
        only("**", ""),
        only("**/*", ""),
        without("*.md", "notes.md"),
        without("**/*.md", "notes.md keep.md"),
        without("a/*", "x y"),
        without("a/**", "x y"),
        without("*/a", "z"),
        without("a**", "x y a+b aab"),
        without("?op.txt", "top.txt"),
        without("?t?", "été"),
        without("**/**/y", "y"),
        // Brackets are Go's, everything else is a regular expression
        without("[ad]", "x y z keep.md"),
        only("[^a]*", "x y a+b aab"),
        without("[!a]*", "x y a+b aab"),
        without("[[]", ""),
        without("a+b", "aab"),
        without("a\\+b", "a+b"),
        without("a{2}b", "aab"),
        without("a{", ""),
        without("a|d", "x y z keep.md notes.md a+b aab"),
        without("^a", "x y"),
        without("top.txt$", ""),
        without("+", ""),
        without("[\\d]op.txt", ""),
        without("\\.dot", ".dot"),
        // Comments, blanks, line ends, byte order mark
        without("#hash", ""),
        without(" #hash", "#hash"),
        without("\\#hash", "#hash"),
        without("sp ace", "sp_ace"),
        without("a\r\n*.txt\r\n", "x y top.txt"),
        without("\u{feff}a\n", "x y"),
        without("été", "été"),
        without("\n\n  \n", ""),
        // The last match wins, and a folder is entered only for a plain prefix
        only("*\n!a", "x y"),
        only("*\n!/a", "x y"),
        only("*\n!./a", "x y"),
        only("*\n!a/b", "y"),
        only("*\n!a/b/y", "y"),
        only("*\n!*/b", ""),
        only("**\n!**/x", ""),
        only("**\n!**/*.md", "notes.md"),
        only("*\n!a\na/b", "x"),
        without("*.txt\n!top.txt\ntop*", "top.txt"),
        without("!a\na", "x y"),
        without("**/y\n!a/b/y", ""),
        without("a\n!a/x", "y"),
        without("!a/../d", "z keep.md"),
        only("*\n!.", ""),
        without("*\n!*", ""),
        without("*\n! a", ALL),
        only("d\n*\n!d/keep.md", "keep.md"),
        // Patterns that fail every COPY
        only("!", FAILS),
        only("[", FAILS),
        only("a[", FAILS),
        only("[a-", FAILS),
        only("(", FAILS),
        only("a++", FAILS),
        only("\\y", FAILS),
        only("a\\", FAILS),
        // Sources
        copy("", "a", "x y"),
        copy("", "a/ d", "x y z keep.md"),
        copy("", "la", "x y"),
        copy("", "la/b", "y"),
        copy("", "lt", "lt"),
        copy("", "la/../top.txt", "top.txt"),
        copy("", "../top.txt", "top.txt"),
        copy("", "../../a/b", "y"),
        copy("", "/top.txt", "top.txt"),
        copy("", "/", ALL),
        copy("", "*.txt", "top.txt"),
        copy("", "[^a.]*", "z keep.md top.txt notes.md sp_ace #hash été x y lt"),
        copy("", "*/b", "y"),
        copy("", "nope", FAILS),
        copy("", "nope*", FAILS),
        copy("", "nope* none?", FAILS),
        copy("", "top.txt nope", FAILS),
        copy("", "top.txt nope*", "top.txt"),
        copy("", "nope[x] top.txt", "top.txt"),
        copy("", "nope[ top.txt", "top.txt"),
        copy("", "top.txt/", "top.txt"),
        copy("", "a/* .dot", "x y .dot"),
        // Sources that the ignore file takes
        copy("a", "a", FAILS),
        copy("a", "a/x", FAILS),
        copy("a", "a top.txt", FAILS),
        copy("a*", "a*", FAILS),
        copy("aab", "a*", "x y a+b"),
        copy("a*", "top.txt a*", FAILS),
        copy("a\n!a/x", "a", "x"),
        copy("a\n!a/x", "a/x a", "x"),
        copy("a\n!*/x", "a", FAILS),
        copy("a\n!*/x", "a/x", "x"),
        copy("a", "la", ""),
        copy("a/x", "la", "y"),
        copy("la/x", "la", "x y"),
        copy("la", "la", FAILS),
        copy("a/b", "la/b", "y"),
        copy("la/b", "la/b", FAILS),
        copy("top.txt", "lt", FAILS),
        copy("top.txt", "*t", FAILS),
        copy("*", "top.txt", FAILS),
        copy("*", ".", ""),
    ]
}

fn context() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for file in FILES {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, file).expect("a file");
    }
    symlink("a", dir.path().join("la")).expect("a link");
    symlink("top.txt", dir.path().join("lt")).expect("a link");
    dir
}

/// File names without their folders, as both sides are compared.
fn names<'a>(paths: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    paths.map(|path| path.rsplit('/').next().unwrap_or(path).replace(' ', "_")).collect()
}

fn expected(case: &Case) -> Option<BTreeSet<String>> {
    (case.arrives != FAILS).then(|| names(case.arrives.split(' ').filter(|name| !name.is_empty())))
}

fn ours(context: &Path, case: &Case) -> Option<BTreeSet<String>> {
    let rules = IgnoreRules::parse(case.ignore.as_bytes());
    let reader = ContextReader::new(context, rules, None, ReadOptions::default()).expect("a context");
    let sources = case.sources.split(' ').map(str::to_owned).collect();
    let request = CopyRequest {
        kind: CopyKind::Copy,
        sources,
        exclude: Vec::new(),
        parents: false,
        modes_given: false,
    };
    let tree = reader.copied(&request).ok()?;
    let files = tree.files().filter(|(_, fact)| !matches!(fact, FileFact::Dir { .. }));
    Some(names(files.map(|(path, _)| path)))
}

/// A private storage for the buildah calls of this test.
struct Buildah {
    dir: tempfile::TempDir,
    calls: AtomicUsize,
}

impl Buildah {
    fn start() -> Self {
        let buildah = Self { dir: tempfile::tempdir().expect("a folder"), calls: AtomicUsize::new(0) };
        let context = tempfile::tempdir().expect("a folder");
        fs::write(context.path().join("f"), "").expect("a file");
        let case = copy("", "f", "f");
        let copied = buildah.copied(context.path(), &case);
        assert_eq!(copied, expected(&case), "the installed buildah cannot build FROM scratch");
        buildah
    }

    /// The files that a COPY makes, `None` when it fails.
    fn copied(&self, context: &Path, case: &Case) -> Option<BTreeSet<String>> {
        let call = self.dir.path().join(self.calls.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir(&call).ok()?;
        let file = |name: &str, content: &str| -> Option<PathBuf> {
            fs::write(call.join(name), content).ok()?;
            Some(call.join(name))
        };
        let instruction = format!("FROM scratch\nCOPY {} /\n", case.sources);
        let build = Command::new("buildah")
            .arg("--root")
            .arg(self.dir.path().join("root"))
            .arg("--runroot")
            .arg(self.dir.path().join("run"))
            .args(["--storage-driver", "vfs", "build", "--quiet", "--layers=false"])
            .arg("--file")
            .arg(file("Containerfile", &instruction)?)
            .arg("--ignorefile")
            .arg(file("ignore", case.ignore)?)
            .arg(format!("--output=type=local,dest={}", call.join("out").display()))
            .arg(context)
            .env("BUILDAH_ISOLATION", "chroot")
            .output();
        build.ok()?.status.success().then(|| files_below(&call.join("out")))
    }
}

fn files_below(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry")) {
        if entry.file_type().expect("a type").is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.extend(names([&*entry.file_name().to_string_lossy()].into_iter()));
        }
    }
    found
}

#[test]
fn copy_takes_what_the_table_says() {
    let context = context();
    for case in cases() {
        assert_eq!(
            ours(context.path(), &case),
            expected(&case),
            "{:?} with ignore file {:?}",
            case.sources,
            case.ignore
        );
    }
}

#[test]
fn buildah_copies_what_the_table_says() {
    let buildah = Buildah::start();
    let context = context();
    let cases = cases();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let copied = buildah.copied(context.path(), case);
            if copied != expected(case) {
                wrong.push(format!("{:?} with ignore file {:?}: {copied:?}", case.sources, case.ignore));
            }
        }
        wrong
    };
    let wrong: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
