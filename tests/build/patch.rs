//! A COPY of which only contents of files changed: made from the layer of last time, and the engine's own to the bit.

use std::fs;
use std::process::Command;

use crate::support::{BOTH, Built, Kind, Scenario};

/// Builds with us and with the engine, and compares what is left, digests in the history included.
#[track_caller]
fn assert_native(scenario: &Scenario, built: &Built, flags: &[&str]) {
    let ours = scenario.comparable(&scenario.image(&built.image()));
    let native = scenario.comparable(&scenario.native(flags));
    for (part, expected) in native.as_object().unwrap() {
        assert_eq!(&ours[part], expected, "{:?}: another {part} than the engine's", scenario.kind);
    }
}

/// Long enough for the second name field of a header.
const FAR: &str = "tree/a-folder-with-a-rather-long-name/and-one-that-is-not-any-shorter-in-the-end/so-that-it-takes-more/f";

/// All that a COPY can be: a folder, a file under another name, several sources, the whole context, owner and mode given.
const COPIES: &str = "\
FROM docker.io/library/busybox
WORKDIR /w
COPY tree /tree
COPY one other
COPY --chown=7:8 one two tree/sub ./several/
COPY --chmod=640 two /
COPY . all/
RUN find /tree /w /two -type f -exec stat -c '%n %a %u:%g %Y %s' {} ';' | sort >/seen
";

fn copies(kind: Kind) -> Scenario {
    let scenario = Scenario::on(kind, COPIES)
        .file(".containerignore", "left-out\n")
        .file("left-out", "not there\n")
        .file("one", "1\n")
        .file("two", "22\n")
        .file("tree/a", "a\n")
        .file("tree/a-b", "a-b\n")
        .file("tree/empty", "")
        .file("tree/sub/deep/x", "x\n")
        .file("tree/sub/y", "y\n")
        .file(FAR, "far\n");
    scenario.link("tree/link", "sub/y").chmod("tree/a", 0o755);
    scenario
}

#[test]
fn a_copy_whose_files_changed_in_content_alone_is_the_engines_own_without_its_copying() {
    for kind in BOTH {
        let scenario = copies(kind);
        assert_eq!(scenario.build(&[]).ok().taken_over(), 0);
        // One file of one COPY: those behind it stand on another step then.
        scenario.write("tree/sub/y", &"longer than a block\n".repeat(100)).touch("tree/a");
        let built = scenario.build(&[]).ok();
        assert_eq!(built.taken_over(), 1, "{kind:?}: {}", built.stderr);
        assert_native(&scenario, &built, &[]);
        // Several files, one of them empty now, another one no longer, on what was patched before.
        scenario.write("tree/a", "").write("tree/empty", "no longer\n").write(FAR, "farther\n");
        let built = scenario.build(&[]).ok();
        assert_eq!(built.taken_over(), 1, "{kind:?}: {}", built.stderr);
        assert_native(&scenario, &built, &[]);
        // What is there is found.
        assert_eq!(scenario.build(&[]).ok().calls, [""; 0], "{kind:?}");
        scenario.assert_clean();
    }
}

#[test]
fn each_form_of_copy_is_made_so() {
    for kind in BOTH {
        for (copy, changed) in [
            ("one other", "one"),
            ("one /bin/", "one"),
            ("one two tree/sub ./several/", "tree/sub/deep/x"),
            ("--chown=user:8 tree /", "tree/a"),
            ("--chmod=640 one two /there/", "two"),
            (". .", "two"),
            ("/tree/./sub/ /", "tree/sub/y"),
        ] {
            let scenario = copies(kind);
            scenario.containerfile(&format!(
                "FROM docker.io/library/busybox\nENV A=1\nCOPY {copy}\nCMD [\"x\"]\n"
            ));
            scenario.build(&["--format=docker"]).ok();
            scenario.write(changed, "changed\n");
            let built = scenario.build(&["--format=docker"]).ok();
            assert_eq!(built.taken_over(), 1, "{kind:?} COPY {copy}: {}", built.stderr);
            assert_native(&scenario, &built, &["--format=docker"]);
        }
    }
}

#[test]
fn a_copy_of_which_anything_else_changed_is_the_engines() {
    let scenario = copies(Kind::Buildah);
    scenario.containerfile("FROM docker.io/library/busybox\nCOPY tree /tree\n");
    scenario.build(&[]).ok();
    let other_attribute = |scenario: &Scenario| {
        xattr::set(scenario.context().join("tree/a"), "user.a", b"v").unwrap();
    };
    type Change<'a> = (&'a str, &'a dyn Fn(&Scenario));
    let changes: [Change<'_>; 7] = [
        ("another file", &|s| {
            s.write("tree/new", "n\n");
        }),
        ("one file less", &|s| {
            s.remove("tree/new");
        }),
        ("another mode", &|s| {
            s.chmod("tree/a", 0o700);
        }),
        ("another target of a link", &|s| {
            s.link("tree/link", "a");
        }),
        ("a folder in the place of a file", &|s| {
            s.remove("tree/empty").write("tree/empty/f", "f\n");
        }),
        ("hard links", &|s| {
            s.shell("ln tree/a tree/a-b.2; mv tree/a-b.2 tree/a-b");
        }),
        ("an attribute", &other_attribute),
    ];
    for (what, change) in changes {
        change(&scenario);
        // Beside a content.
        scenario.write("tree/sub/y", what);
        let built = scenario.build(&[]).ok();
        assert_eq!(built.taken_over(), 0, "{what}: {}", built.stderr);
        assert_native(&scenario, &built, &[]);
    }
}

#[test]
fn flags_that_say_that_nothing_of_last_time_counts_or_times_are_given_leave_it_to_the_engine() {
    for flags in [&["--no-cache"][..], &["--patch-layers=false"], &["--timestamp=0"], &["--layers=false"]] {
        let scenario = copies(Kind::Buildah);
        scenario.containerfile("FROM docker.io/library/busybox\nCOPY tree /tree\n");
        scenario.build(flags).ok();
        scenario.write("tree/a", "changed\n");
        let built = scenario.build(flags).ok();
        assert_eq!(built.taken_over(), 0, "{flags:?}: {}", built.stderr);
        let files = scenario.files(&scenario.image(&built.image()));
        assert_eq!(files["tree/a"], "file 755 0:0 changed\n", "{flags:?}");
    }
}

#[test]
fn a_layer_that_is_not_what_it_was_is_not_taken_over() {
    for (what, script) in [
        ("its archive's headers are gone", "rm \"$(ls -t root/*-layers/*.tar-split.gz | head -n 1)\""),
        (
            "its archive's headers are cut off",
            "truncate -s 200 \"$(ls -t root/*-layers/*.tar-split.gz | head -n 1)\"",
        ),
        (
            "a file in it has other bytes",
            "find root/overlay root/vfs -path '*tree/a' -exec sh -c 'printf b >\"$1\"' - {} ';' 2>/dev/null; :",
        ),
    ] {
        let scenario = copies(Kind::Buildah);
        scenario.containerfile("FROM docker.io/library/busybox\nCOPY tree /tree\n");
        scenario.build(&[]).ok();
        let done = Command::new("sh").args(["-c", script]).current_dir(scenario.folder()).status().unwrap();
        assert!(done.success(), "{what}");
        scenario.write("tree/a", "changed\n");
        let built = scenario.build(&[]).ok();
        assert_eq!(built.taken_over(), 0, "{what}: {}", built.stderr);
        let files = scenario.files(&scenario.image(&built.image()));
        assert_eq!(files["tree/a"], "file 755 0:0 changed\n", "{what}");
    }
}

#[test]
fn a_file_that_changes_under_a_patch_is_not_in_it() {
    // The engine reads what is there when it comes to the step, and the build says so.
    let scenario = copies(Kind::Buildah);
    let text = "FROM docker.io/library/busybox AS first\nRUN sleep 1; date >/now\nFROM docker.io/library/busybox\nCOPY tree /tree\nCOPY --from=first /now /\n";
    scenario.containerfile(text);
    scenario.build(&["--jobs=1"]).ok();
    scenario.write("tree/a", "second\n");
    scenario.containerfile(&text.replace("sleep 1", "echo ready; sleep 1"));
    let running = scenario.start_until(&["--jobs=1"], "ready");
    fs::write(scenario.context().join("tree/a"), "third\n").unwrap();
    let built = running.ended().ok();
    let files = scenario.files(&scenario.image(&built.image()));
    assert!(
        ["file 755 0:0 second\n", "file 755 0:0 third\n"].contains(&files["tree/a"].as_str()),
        "{files:?}"
    );
    // Whichever it was, the next build has what is there now.
    let built = scenario.build(&["--jobs=1"]).ok();
    assert_eq!(scenario.files(&scenario.image(&built.image()))["tree/a"], "file 755 0:0 third\n");
}
