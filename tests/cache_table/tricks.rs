//! What a step hangs on and its key does not tell: results that another run of the same step has left behind.
//!
//! A secret's value is in no key. It stands here for whatever differs from run to run: a date, a download, a die.

use crate::support::Kind;
use crate::table::Change::*;
use crate::table::{Case, both, failing, flagged, row};

pub const CASES: &[Case] = &[
    Case {
        name: "a stage run again by itself",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS dice\nRUN --mount=type=secret,id=s cat /run/secrets/s >/1\nFROM dice AS below\nRUN cat /1 >/2\nFROM docker.io/library/busybox AS last\nCOPY --from=dice /1 /1\nCOPY --from=below /2 /2\nRUN --mount=type=bind,from=dice,source=/1,target=/m cat /1 /2 /m >/out\n",
        context: &[("secret", "1\n")],
        flags: &["--secret=id=s,src=context/secret"],
        rows: &[
            row(
                "another secret",
                Shell("echo 2 >secret"),
                "dice h, below h, last hhh",
                &[("out", "1\n1\n1\n")],
            ),
            flagged("thrown again", &["--target=dice", "--no-cache"], "dice m", &[("1", "2\n")]),
            row("what takes its bytes", Nothing, "dice h, below m, last mmm", &[("out", "2\n2\n2\n")]),
            row("and then nothing", Nothing, "dice h, below h, last hhh", &[("out", "2\n2\n2\n")]),
            both(
                "thrown for its age",
                Shell("echo 3 >secret"),
                &["--target=dice", "--cache-ttl=0"],
                "dice m",
                &[("1", "3\n")],
            ),
            flagged("what stands on it alone", &["--target=below"], "dice h, below m", &[("2", "3\n")]),
            row("and the rest", Nothing, "dice h, below h, last mmm", &[("out", "3\n3\n3\n")]),
            flagged(
                "thrown again with the same eyes",
                &["--target=dice", "--no-cache-filter=dice"],
                "dice m",
                &[("1", "3\n")],
            ),
            row(
                "what takes its bytes finds the same",
                Nothing,
                "dice h, below m, last ccc",
                &[("out", "3\n3\n3\n")],
            ),
            both("removed and made anew", RemoveStage("dice"), &["--target=dice"], "dice h", &[("1", "3\n")]),
            row("nothing runs for that", Nothing, "dice h, below h, last hhh", &[("out", "3\n3\n3\n")]),
        ],
    },
    Case {
        name: "a stage in one call run again by itself",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS dice\nRUN --mount=type=secret,id=s cat /run/secrets/s >/1\nFROM dice AS below\nRUN cat /1 >/2\nFROM docker.io/library/busybox AS last\nCOPY --from=dice /1 /1\nCOPY --from=below /2 /2\n",
        context: &[("secret", "1\n")],
        flags: &["--secret=id=s,src=context/secret", "--layers=false"],
        rows: &[
            both(
                "thrown again",
                Shell("echo 2 >secret"),
                &["--target=dice", "--no-cache"],
                "dice m",
                &[("1", "2\n")],
            ),
            row("what takes its bytes", Nothing, "dice h, below m, last m", &[("1", "2\n"), ("2", "2\n")]),
            row("and then nothing", Nothing, "dice h, below h, last h", &[("2", "2\n")]),
        ],
    },
    Case {
        name: "a chain run again up to a failure",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nRUN --mount=type=secret,id=s cat /run/secrets/s >/1\nRUN --mount=type=secret,id=t grep ok /run/secrets/t\nRUN cat /1 >/out\n",
        context: &[("secret", "1\n"), ("other", "ok\n")],
        flags: &["--secret=id=s,src=context/secret", "--secret=id=t,src=context/other"],
        rows: &[
            failing(
                "--no-cache that fails",
                Shell("echo 2 >secret; echo no >other"),
                &["--no-cache"],
                "a mm-",
            ),
            row("goes on from there", Shell("echo ok >other"), "a hmm", &[("1", "2\n"), ("out", "2\n")]),
            row("and then nothing", Nothing, "a hhh", &[("out", "2\n")]),
        ],
    },
    Case {
        name: "an old step below a new one",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nRUN --mount=type=secret,id=s cat /run/secrets/s >/1\nCOPY f /f\n",
        context: &[("secret", "1\n"), ("f", "1\n")],
        flags: &["--secret=id=s,src=context/secret"],
        rows: &[
            row(
                "the upper one anew",
                Shell("sleep 6; echo 2 >f; echo 2 >secret"),
                "a hm",
                &[("1", "1\n"), ("f", "2\n")],
            ),
            flagged("the lower one is too old", &["--cache-ttl=6s"], "a mm", &[("1", "2\n"), ("f", "2\n")]),
        ],
    },
];
