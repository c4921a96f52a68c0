//! What happens to the storage between two builds.

use crate::instructions::CHAIN;
use crate::support::Kind;
use crate::table::Change::*;
use crate::table::{Case, row};

pub const CASES: &[Case] = &[
    Case {
        name: "another engine on the same storage",
        kind: Kind::Buildah,
        file: CHAIN,
        context: &[("one", "1\n"), ("two", "2\n")],
        flags: &[],
        rows: &[
            row("podman", Switch(Kind::Podman), "a hhh", &[("out", "1\n")]),
            row("podman after a change", Shell("echo 3 >two"), "a hhm", &[("2", "3\n")]),
            row("buildah again", Switch(Kind::Buildah), "a hhh", &[("2", "3\n")]),
        ],
    },
    Case {
        name: "removed images",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nCOPY one /1\nFROM docker.io/library/busybox AS b\nCOPY two /2\nFROM scratch AS c\nCOPY --from=a /1 /1\nCOPY --from=b /2 /2\n",
        context: &[("one", "1\n"), ("two", "2\n")],
        flags: &["--tag=app:1"],
        rows: &[
            row(
                "the target",
                Engine(&["rmi localhost/app:1"]),
                "a h, b h, c hh",
                &[("1", "1\n"), ("2", "2\n")],
            ),
            row("dangling ones", Engine(&["podman image prune --force"]), "a h, b h, c hh", &[("1", "1\n")]),
            row("a stage", Shell("true"), "a h, b h, c hh", &[("1", "1\n")]),
        ],
    },
    Case {
        name: "stages removed",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nCOPY one /1\nRUN cat /1 >/out\nFROM docker.io/library/busybox AS b\nCOPY --from=a /out /2\nRUN cat /2 >/3\n",
        context: &[("one", "1\n")],
        flags: &["--tag=app:1"],
        rows: &[
            row("the first", RemoveStage("a"), "a hh, b hh", &[("3", "1\n")]),
            row("the last", Engine(&["rmi localhost/app:1"]), "a hh, b hh", &[("3", "1\n")]),
            row("a step in the middle", RemoveStep("a", 0), "a hh, b hh", &[("3", "1\n")]),
            row("all but the base", Emptied, "a mm, b mm", &[("3", "1\n"), ("2", "1\n")]),
            row("a change behind it", Shell("echo 2 >one"), "a mm, b mm", &[("3", "2\n")]),
            row(
                "the first state, whose images are there",
                Shell("echo 1 >one"),
                "a hh, b hh",
                &[("3", "1\n")],
            ),
        ],
    },
    Case {
        name: "pruning",
        kind: Kind::Buildah,
        file: CHAIN,
        context: &[("one", "1\n"), ("two", "2\n")],
        flags: &[],
        rows: &[
            row(
                "by podman",
                Engine(&["podman image prune --force"]),
                "a hhh",
                &[("out", "1\n"), ("2", "2\n")],
            ),
            row("by buildah", Engine(&["rmi --prune"]), "a hhh", &[("out", "1\n"), ("2", "2\n")]),
            row("a change", Shell("echo 3 >two"), "a hhm", &[("out", "1\n"), ("2", "3\n")]),
            row("and pruned again", Engine(&["rmi --prune"]), "a hhh", &[("out", "1\n"), ("2", "3\n")]),
            row("the first state", Shell("echo 2 >two"), "a hhh", &[("out", "1\n"), ("2", "2\n")]),
        ],
    },
    Case {
        name: "the layers of one, the name of another",
        kind: Kind::Buildah,
        file: CHAIN,
        context: &[("one", "1\n"), ("two", "2\n")],
        flags: &["--tag=app:1"],
        rows: &[
            row(
                "another image of the name",
                Engine(&["tag docker.io/library/busybox:latest localhost/app:1"]),
                "a hhh",
                &[("out", "1\n")],
            ),
            row("a change", Shell("echo 3 >two"), "a hhm", &[("2", "3\n")]),
            row("back", Shell("echo 2 >two"), "a hhh", &[("out", "1\n"), ("2", "2\n")]),
        ],
    },
];
