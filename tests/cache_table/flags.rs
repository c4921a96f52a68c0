//! Flags of the command line.

use crate::stages::PLANNER;
use crate::support::Kind;
use crate::table::Change::*;
use crate::table::{Case, both, flagged, row};

pub const CASES: &[Case] = &[
    Case {
        name: "flags that change what RUN does",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nRUN ulimit -n >/out; cat /etc/hosts >/hosts; df /dev/shm >/shm 2>&1\n",
        context: &[],
        flags: &[],
        rows: &[
            flagged("--network", &["--network=none"], "a m", &[]),
            flagged("--network as before", &[], "a h", &[]),
            flagged("--add-host", &["--add-host=there:10.1.2.3"], "a m", &[]),
            flagged("--add-host with another address", &["--add-host=there:10.1.2.4"], "a m", &[]),
            flagged("--shm-size", &["--shm-size=1m"], "a m", &[]),
            flagged("--ulimit", &["--ulimit=nofile=777:777"], "a m", &[("out", "777\n")]),
            flagged("--ulimit with another value", &["--ulimit=nofile=778:778"], "a m", &[("out", "778\n")]),
            flagged("--cap-drop", &["--cap-drop=CAP_CHOWN"], "a m", &[]),
            flagged("--volume", &["--volume=/etc:/host:ro"], "a m", &[]),
            flagged("--timestamp", &["--timestamp=0"], "a m", &[]),
        ],
    },
    Case {
        name: "flags that change nothing",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nRUN echo 1 >/out\n",
        context: &[],
        flags: &[],
        rows: &[
            flagged("--quiet", &["--quiet"], "a h", &[("out", "1\n")]),
            flagged("--jobs", &["--jobs=1"], "a h", &[("out", "1\n")]),
            flagged("--tag", &["--tag=some/name:1", "--tag=other"], "a h", &[("out", "1\n")]),
            flagged("--log-level", &["--log-level=error"], "a h", &[("out", "1\n")]),
            flagged("--label", &["--label=l=1"], "a h", &[("/config/Labels/l", "\"1\"")]),
            flagged("--rm", &["--rm=false", "--force-rm=false"], "a h", &[("out", "1\n")]),
            flagged("--build-id-label", &["--build-id-label"], "a h", &[("out", "1\n")]),
            flagged(
                "--stage-labels",
                &["--stage-labels=false"],
                "a h",
                &[("/config/Labels/io.buildah.stage.name", "null")],
            ),
            flagged("--save-stages", &["--save-stages"], "a h", &[("out", "1\n")]),
        ],
    },
    Case {
        name: "--env",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nLABEL a=b\nRUN true\nRUN echo $E >/out\n",
        context: &[],
        flags: &[],
        rows: &[
            flagged(
                "added",
                &["--env=E=1"],
                "a mm",
                &[("/config/Env", "[\"PATH=/bin\",\"E=1\"]"), ("out", "1\n")],
            ),
            flagged(
                "another value",
                &["--env=E=2"],
                "a mm",
                &[("/config/Env", "[\"PATH=/bin\",\"E=2\"]"), ("out", "2\n")],
            ),
            flagged("the first value", &["--env=E=1"], "a hh", &[("/config/Env", "[\"PATH=/bin\",\"E=1\"]")]),
            flagged("none", &[], "a hh", &[("/config/Env", "[\"PATH=/bin\"]")]),
        ],
    },
    Case {
        name: "flags about the cache",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nRUN echo 1 >/1\nFROM docker.io/library/busybox AS b\nCOPY --from=a /1 /1\nRUN cat /1 >/out\n",
        context: &[],
        flags: &[],
        rows: &[
            flagged("--no-cache", &["--no-cache"], "a m, b mm", &[("out", "1\n")]),
            flagged("--no-cache=false", &["--no-cache=false"], "a h, b hh", &[("out", "1\n")]),
            flagged("--no-cache-filter", &["--no-cache-filter=a"], "a m, b cc", &[("out", "1\n")]),
            flagged(
                "--no-cache-filter of the last",
                &["--no-cache-filter=b"],
                "a h, b mm",
                &[("out", "1\n")],
            ),
            flagged("--cache-ttl that is not over", &["--cache-ttl=10h"], "a h, b hh", &[("out", "1\n")]),
            flagged("--cache-ttl of nothing", &["--cache-ttl=0"], "a m, b mm", &[("out", "1\n")]),
        ],
    },
    Case {
        name: "format and mode",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nENV A=1\nRUN echo 1 >/out\nRUN echo 2 >/2\n",
        context: &[],
        flags: &[],
        rows: &[
            flagged("docker", &["--format=docker"], "a mm", &[("out", "1\n")]),
            flagged("oci", &["--format=oci"], "a hh", &[("out", "1\n")]),
            flagged("squashed", &["--layers=false"], "a m", &[("out", "1\n"), ("2", "2\n")]),
            flagged("layers", &["--layers"], "a hh", &[("out", "1\n")]),
            flagged("squashed again", &["--layers=false"], "a h", &[("out", "1\n"), ("2", "2\n")]),
        ],
    },
    Case {
        name: "the squashed mode",
        kind: Kind::Buildah,
        file: PLANNER,
        context: &[("src", "dep 1\ncode 1\n")],
        flags: &["--layers=false"],
        rows: &[
            row("touched", Shell("touch src"), "plan h, build h, last h", &[("built", "dep 1\n")]),
            row(
                "the planner runs and gives the same",
                Shell("sed -i 's/code 1/code 2/' src"),
                "plan m, build c, last m",
                &[("built", "dep 1\n"), ("src", "dep 1\ncode 2\n")],
            ),
            row(
                "other bytes",
                Shell("sed -i 's/dep 1/dep 2/' src"),
                "plan m, build m, last m",
                &[("built", "dep 2\n")],
            ),
            row(
                "as at first",
                Shell("printf 'dep 1\\ncode 1\\n' >src"),
                "plan h, build h, last h",
                &[("built", "dep 1\n")],
            ),
        ],
    },
    Case {
        name: "--unsetenv and the first base",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nENV X=1\nRUN echo 1 >/out # localhost/base:1\n",
        context: &[],
        flags: &[],
        rows: &[
            flagged("--unsetenv", &["--unsetenv=X"], "a m", &[("/config/Env", "[\"PATH=/bin\"]")]),
            flagged("without it", &[], "a h", &[("/config/Env", "[\"PATH=/bin\",\"X=1\"]")]),
            both(
                "--from",
                Rebase("FROM docker.io/library/busybox\nRUN echo b >/b\n"),
                &["--from=localhost/base:1"],
                "a m",
                &[("b", "b\n"), ("out", "1\n")],
            ),
            both(
                "--from, and that image moved",
                Rebase("FROM docker.io/library/busybox\nRUN echo c >/b\n"),
                &["--from=localhost/base:1"],
                "a m",
                &[("b", "c\n")],
            ),
            flagged("the base of the file", &[], "a h", &[("b", "-"), ("out", "1\n")]),
        ],
    },
    Case {
        name: "variables from the environment",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nLABEL a=b\nRUN true\nRUN echo $E >/out\n",
        context: &[],
        flags: &["--env=E=1"],
        rows: &[
            flagged(
                "a second variable",
                &["--env=F=1"],
                "a mm",
                &[("/config/Env", "[\"PATH=/bin\",\"E=1\",\"F=1\"]")],
            ),
            flagged("the first alone", &[], "a hh", &[("/config/Env", "[\"PATH=/bin\",\"E=1\"]")]),
        ],
    },
];
