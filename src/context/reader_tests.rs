//! What a reader finds on real files.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::*;

fn paths_of(tree: &CopiedTree) -> Vec<String> {
    tree.files().map(|(path, _)| path.to_owned()).collect()
}

/// A context of files, with an index folder beside it.
struct Scene {
    dir: tempfile::TempDir,
    ignore: String,
}

impl Scene {
    fn new(files: &[(&str, &str)]) -> Self {
        let scene = Self { dir: tempfile::tempdir().unwrap(), ignore: String::new() };
        fs::create_dir(scene.root()).unwrap();
        for (path, content) in files {
            scene.write(path, content);
        }
        scene
    }

    fn ignoring(mut self, ignore: &str) -> Self {
        self.ignore = ignore.to_owned();
        self
    }

    fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("context")
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn index(&self) -> FileIndex {
        FileIndex::open(&self.dir.path().join("index"), &self.root())
    }

    fn reader_with(&self, index: Option<FileIndex>, options: ReadOptions) -> ContextReader {
        let rules = IgnoreRules::parse(self.ignore.as_bytes());
        ContextReader::new(&self.root(), rules, index, options).unwrap()
    }

    fn reader(&self) -> ContextReader {
        self.reader_with(None, ReadOptions::default())
    }

    fn copied(&self, sources: &[&str]) -> Result<CopiedTree, ContextError> {
        self.reader().copied(&copy(sources))
    }

    /// What a COPY lists, or why it fails.
    fn paths(&self, sources: &[&str]) -> Vec<String> {
        match self.copied(sources) {
            Ok(tree) => paths_of(&tree),
            Err(error) => vec![error.to_string()],
        }
    }

    /// The digest of the whole context and how many files were read for it, with an index that is kept.
    fn build(&self) -> (Digest, usize) {
        let reader = self.reader_with(Some(self.index().without_margin()), ReadOptions::default());
        let tree = reader.copied(&copy(&["."])).unwrap();
        reader.index().unwrap().save().unwrap();
        (tree.digest(), reader.files_read())
    }
}

fn copy(sources: &[&str]) -> CopyRequest {
    let sources = sources.iter().map(|source| source.to_string()).collect();
    CopyRequest { kind: CopyKind::Copy, sources, exclude: Vec::new(), parents: false, modes_given: false }
}

fn set_mtime(path: &Path, time: SystemTime) {
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_directory_stands_for_its_contents() {
    let scene = Scene::new(&[("a/x", "1"), ("a/b/y", "2"), (".dot", "3"), ("f", "4")]);
    assert_eq!(scene.paths(&["a"]), ["a/b", "a/b/y", "a/x"]);
    assert_eq!(scene.paths(&["a/", "f"]), ["a/b", "a/b/y", "a/x", "f"]);
    assert_eq!(scene.paths(&["."]), [".dot", "a", "a/b", "a/b/y", "a/x", "f"]);
    assert_eq!(scene.paths(&["*"]), [".dot", "a/b", "a/b/y", "a/x", "f"]);
}

#[test]
fn a_source_that_matches_nothing_is_named() {
    let scene = Scene::new(&[("f", "")]);
    let error = |source| [format!("no files match \"{source}\" in the context")];
    assert_eq!(scene.paths(&["f", "nope"]), error("nope"));
    assert_eq!(scene.paths(&["f/x"]), error("f/x"));
    assert_eq!(scene.paths(&["nope*", "none*"]), error("nope*"));
}

#[test]
fn a_wildcard_may_match_nothing_beside_a_source_that_matches() {
    let scene = Scene::new(&[("package.json", "")]);
    let lock = ["package.json", "package-lock.json*"];
    assert_eq!(scene.paths(&lock), ["package.json"]);
    scene.write("package-lock.json", "");
    assert_eq!(scene.paths(&lock), ["package-lock.json", "package.json"]);
}

#[test]
fn a_source_that_is_ignored_is_an_error() {
    let scene = Scene::new(&[("a/x", ""), ("f", "")]).ignoring("a\nf");
    assert_eq!(scene.paths(&["a"]), ["all 1 files that match \"a\" are excluded"]);
    assert_eq!(scene.paths(&["?"]), ["all 2 files that match \"?\" are excluded"]);
    assert_eq!(scene.paths(&["."]), [""; 0]);
}

#[test]
fn links_are_followed_as_sources_and_kept_in_folders() {
    let scene = Scene::new(&[("a/x", "1"), ("f", "2")]);
    symlink("a", scene.root().join("la")).unwrap();
    symlink("f", scene.root().join("lf")).unwrap();
    symlink("../../../etc/passwd", scene.root().join("out")).unwrap();
    assert_eq!(scene.paths(&["la"]), ["la/x"]);
    assert_eq!(scene.paths(&["out"]), ["link \"out\" leads nowhere"]);
    let tree = scene.copied(&["."]).unwrap();
    assert_eq!(tree.file("la"), Some(&FileFact::Symlink { target: "a".into() }));
    let file = scene.copied(&["lf"]).unwrap();
    assert_eq!(file.file("lf"), tree.file("f"));
}

#[test]
fn modes_and_attributes_count() {
    let scene = Scene::new(&[("a/x", "1")]);
    let digest = |options| scene.reader_with(None, options).copied(&copy(&["."])).unwrap().digest();
    let git = ReadOptions { ignore_file_mode: true };
    let mode = |path: &str, mode| {
        fs::set_permissions(scene.root().join(path), PermissionsExt::from_mode(mode)).unwrap()
    };
    mode("a", 0o755);
    mode("a/x", 0o644);
    let (exact, coarse) = (digest(ReadOptions::default()), digest(git));
    for (path, bits, seen, seen_by_git) in [
        ("a/x", 0o640, true, false),
        ("a/x", 0o744, true, true),
        ("a/x", 0o4644, true, false),
        ("a", 0o700, true, false),
        ("a", 0o1755, true, false),
    ] {
        mode(path, bits);
        let changed = (digest(ReadOptions::default()) != exact, digest(git) != coarse);
        assert_eq!(changed, (seen, seen_by_git), "{path} {bits:o}");
        mode("a", 0o755);
        mode("a/x", 0o644);
    }
}

#[test]
fn parents_list_the_folders_on_the_way() {
    let scene = Scene::new(&[("a/b/c/f", ""), ("a/b/g", "")]);
    let paths = |source: &str| -> Vec<_> {
        let request = CopyRequest { parents: true, ..copy(&[source]) };
        paths_of(&scene.reader().copied(&request).unwrap())
    };
    assert_eq!(paths("a/b/c/f"), ["a", "a/b", "a/b/c", "a/b/c/f"]);
    assert_eq!(paths("a/./b/c/f"), ["a/b", "a/b/c", "a/b/c/f"]);
    assert_eq!(paths("a/b/./c"), ["a/b/c", "a/b/c/f"]);
    assert_eq!(paths("a/b/*"), ["a", "a/b", "a/b/c", "a/b/c/f", "a/b/g"]);
    // As buildah 1.43.2 names them: below a link, but by what a link stands for.
    symlink("a", scene.root().join("l")).unwrap();
    assert_eq!(paths("l/b/g"), ["l", "l/b", "l/b/g"]);
    assert_eq!(paths("l"), ["a/b", "a/b/c", "a/b/c/f", "a/b/g"]);
}

#[test]
fn excludes_are_patterns_from_the_root_of_the_context() {
    let scene = Scene::new(&[("a/x", ""), ("a/b/y", ""), ("z", "")]).ignoring("z");
    let paths = |source: &str, exclude: &[&str]| -> Vec<_> {
        let exclude = exclude.iter().map(|pattern| pattern.to_string()).collect();
        let request = CopyRequest { exclude, ..copy(&[source]) };
        match scene.reader().copied(&request) {
            Ok(tree) => paths_of(&tree),
            Err(error) => vec![error.to_string()],
        }
    };
    // As buildah 1.43.2 does it.
    assert_eq!(paths(".", &["**/y"]), ["a", "a/b", "a/x"]);
    assert_eq!(paths("a/b", &["y"]), ["a/b/y"]);
    assert_eq!(paths("a", &["a/b/y"]), ["a/b", "a/x"]);
    assert_eq!(paths(".", &["a", "!a/x"]), ["a/x"]);
    assert_eq!(paths(".", &["/a"]), ["a", "a/b", "a/b/y", "a/x"]);
    assert_eq!(paths(".", &["#x", "a/"]), [""; 0]);
    assert_eq!(paths(".", &["["]), ["ignore pattern \"[\": syntax error in pattern"]);
}

#[test]
fn remote_sources_of_add_are_passed_over() {
    let scene = Scene::new(&[("f", "")]);
    let request = CopyRequest { kind: CopyKind::Add, ..copy(&["https://example.com/x", "f"]) };
    assert_eq!(scene.reader().copied(&request).unwrap().files().count(), 1);
    assert!(scene.copied(&["https://example.com/x"]).is_err());
}

#[test]
fn a_mounted_tree_is_whole() {
    let scene = Scene::new(&[("a/x", "1"), ("f", "2")]).ignoring("**");
    let paths = |source| -> Vec<_> { paths_of(&scene.reader().tree(source).unwrap()) };
    assert_eq!(paths("."), [".", "a", "a/x", "f"]);
    assert_eq!(paths("/a"), ["a", "a/x"]);
    assert_eq!(paths("f"), ["f"]);
    assert!(matches!(scene.reader().tree("nope"), Err(ContextError::NoMatch { .. })));
    for (target, link) in [("/etc", "abs"), ("../..", "up"), ("a", "in")] {
        symlink(target, scene.root().join(link)).unwrap();
    }
    fs::create_dir(scene.root().join("etc")).unwrap();
    assert_eq!(paths("in"), ["in", "in/x"]);
    for source in ["abs", "up", "..", "a/../../x"] {
        let error = scene.reader().tree(source).unwrap_err().to_string();
        assert!(error.ends_with("leads out of the context"), "{source}: {error}");
    }
}

#[test]
fn names_that_are_not_utf8_are_kept_apart() {
    let scene = Scene::new(&[]);
    for name in [b"\xff".as_slice(), b"\xfe", b"\\xff"] {
        fs::write(scene.root().join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
    }
    assert_eq!(scene.paths(&["."]), ["\\\\xff", "\\xfe", "\\xff"]);
}

#[test]
fn an_unchanged_context_is_not_read_again() {
    let scene = Scene::new(&[("a/x", "1"), ("a/y", "2"), ("z", "3")]);
    let (digest, read) = scene.build();
    assert_eq!(read, 3);
    assert_eq!(scene.build(), (digest, 0));
    set_mtime(&scene.root().join("z"), SystemTime::now() + Duration::from_secs(60));
    assert_eq!(scene.build(), (digest, 1), "a touched file is read once");
    assert_eq!(scene.build(), (digest, 0), "and then known");
}

#[test]
fn new_content_under_the_old_size_and_time_is_seen() {
    let scene = Scene::new(&[("f", "A")]);
    let file = scene.root().join("f");
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    let mut digests = Vec::new();
    for content in ["A", "B", "A", "B"] {
        std::thread::sleep(Duration::from_millis(20)); // longer than a tick of the filesystem's clock
        fs::write(&file, content).unwrap();
        set_mtime(&file, time);
        digests.push(scene.build().0);
    }
    assert_eq!(digests[0], digests[2]);
    assert_eq!(digests[1], digests[3]);
    assert_ne!(digests[0], digests[1]);
}

#[test]
fn a_file_of_this_instant_is_not_trusted_next_time() {
    let scene = Scene::new(&[("f", "A")]);
    for content in ["A", "B", "A", "B"] {
        scene.write("f", content);
        let reader = scene.reader_with(Some(scene.index()), ReadOptions::default());
        let tree = reader.copied(&copy(&["f"])).unwrap();
        assert_eq!(tree.file("f"), scene.copied(&["f"]).unwrap().file("f"));
        assert!(!reader.index().unwrap().save().unwrap(), "too young to be recorded");
    }
}

#[test]
fn a_file_with_attributes_is_remembered_and_its_attributes_are_asked_for() {
    let scene = Scene::new(&[("f", "A")]);
    let file = fs::File::open(scene.root().join("f")).unwrap();
    if rustix::fs::fsetxattr(&file, "user.a", b"1", rustix::fs::XattrFlags::empty()).is_err() {
        return; // not on this filesystem
    }
    let (one, _) = scene.build();
    assert_eq!(scene.build(), (one, 0));
    rustix::fs::fsetxattr(&file, "user.a", b"2", rustix::fs::XattrFlags::empty()).unwrap();
    assert_ne!(scene.build().0, one);
}

#[test]
fn one_reader_looks_at_a_file_once() {
    let scene = Scene::new(&[("a/x", "1"), ("y", "2")]);
    let reader = scene.reader();
    let first = reader.copied(&copy(&["a/x"])).unwrap();
    scene.write("a/x", "other");
    let second = reader.copied(&copy(&["."])).unwrap();
    assert_eq!(first.file("a/x"), second.file("a/x"));
    assert_eq!((reader.files_read(), reader.copied(&copy(&["."])).unwrap()), (2, second));
}

#[test]
fn a_file_that_changes_while_it_is_read_is_reported_and_not_recorded() {
    let scene = Scene::new(&[]);
    scene.write("big", &"x".repeat(16 << 20));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let big = scene.root().join("big");
            let file = fs::File::options().write(true).open(big).unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                std::os::unix::fs::FileExt::write_at(&file, b"y", 0).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        // Both threads have to run at the same time for it to happen, which a busy machine may put off.
        let reported = (0..100).any(|_| {
            let index = scene.index().without_margin();
            let reader = scene.reader_with(Some(index), ReadOptions::default());
            reader.copied(&copy(&["big"])).unwrap();
            let changed = reader.changed_while_read();
            assert!(changed.is_empty() || !reader.index().unwrap().save().unwrap());
            changed == ["big"]
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(reported);
    });
}

#[test]
fn many_files_give_one_listing_whoever_finds_them() {
    let files: Vec<_> =
        (0..1000).map(|number| (format!("d{}/e{}/f{number}", number % 7, number % 3), number)).collect();
    let scene = Scene::new(&[]);
    for (path, number) in &files {
        scene.write(path, &number.to_string());
    }
    let whole = scene.copied(&["."]).unwrap();
    assert_eq!(whole.files().count(), 1000 + 7 + 21);
    for _ in 0..5 {
        assert_eq!(scene.copied(&["."]).unwrap(), whole);
    }
    let parts: Vec<_> = (0..7).map(|part| scene.copied(&[&format!("d{part}")]).unwrap()).collect();
    let parts: Vec<_> = parts.iter().flat_map(CopiedTree::files).collect();
    assert_eq!(parts.len(), 1000 + 21);
    assert!(parts.iter().all(|(path, fact)| whole.file(path) == Some(fact)));
}
