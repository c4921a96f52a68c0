//! What stages take from each other and from images.

use crate::support::Kind;
use crate::table::Change::*;
use crate::table::{Case, both, flagged, row};

pub const PLANNER: &str = "\
FROM docker.io/library/busybox AS plan
COPY src /src
RUN grep dep /src >/recipe
FROM docker.io/library/busybox AS build
COPY --from=plan /recipe /recipe
RUN cat /recipe >/built
FROM scratch AS last
COPY --from=build /built /built
COPY src /src
";

const MOUNTED_STAGE: &str = "\
FROM scratch AS src
COPY f /d/f
FROM docker.io/library/busybox AS a
RUN --mount=type=bind,from=src,source=/d,target=/m cat /m/f >/out
";

pub const CASES: &[Case] = &[
    Case {
        name: "bytes of another stage",
        kind: Kind::Buildah,
        file: PLANNER,
        context: &[("src", "dep 1\ncode 1\n")],
        flags: &[],
        rows: &[
            row("touched", Shell("touch src"), "plan hh, build hh, last hh", &[("built", "dep 1\n")]),
            row(
                "the planner runs and gives the same",
                Shell("sed -i 's/code 1/code 2/' src"),
                "plan mm, build cc, last cm",
                &[("built", "dep 1\n"), ("src", "dep 1\ncode 2\n")],
            ),
            row("the same once more", Nothing, "plan hh, build hh, last hh", &[("src", "dep 1\ncode 2\n")]),
            row(
                "the planner gives something else",
                Shell("sed -i 's/dep 1/dep 2/' src"),
                "plan mm, build mm, last mm",
                &[("built", "dep 2\n")],
            ),
            row(
                "back to the first",
                Shell("printf 'dep 1\\ncode 1\\n' >src"),
                "plan hh, build hh, last hh",
                &[("built", "dep 1\n"), ("src", "dep 1\ncode 1\n")],
            ),
            row(
                "new code on the old recipe",
                Shell("printf 'dep 2\\ncode 3\\n' >src"),
                "plan mm, build cc, last cm",
                &[("built", "dep 2\n"), ("src", "dep 2\ncode 3\n")],
            ),
        ],
    },
    Case {
        name: "a mount of a stage",
        kind: Kind::Buildah,
        file: MOUNTED_STAGE,
        context: &[("f", "A\n")],
        flags: &[],
        rows: &[
            row("touched", Shell("touch f"), "src h, a h", &[("out", "A\n")]),
            row("edited", Shell("echo B >f"), "src m, a m", &[("out", "B\n")]),
            row("A again", Shell("echo A >f"), "src h, a h", &[("out", "A\n")]),
            row("B again", Shell("echo B >f"), "src h, a h", &[("out", "B\n")]),
            row("another mode", Shell("chmod 600 f"), "src m, a m", &[("out", "B\n")]),
            row(
                "other bytes beside the mounted folder",
                Edit("COPY f /d/f", "COPY f /d/f\nCOPY f /g"),
                "src hm, a c",
                &[("out", "B\n")],
            ),
            row(
                "a label of the stage",
                Edit("COPY f /d/f", "COPY f /d/f\nLABEL x=1"),
                "src hm, a c",
                &[("out", "B\n")],
            ),
        ],
    },
    Case {
        name: "metadata that nobody reads",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS base\nRUN echo 1 >/1\nEXPOSE 80\nFROM docker.io/library/busybox AS a\nCOPY --from=base /1 /1\nRUN cat /1 >/out\n",
        context: &[],
        flags: &[],
        rows: &[
            row("a port", Edit("EXPOSE 80", "EXPOSE 81"), "base h, a hh", &[("out", "1\n")]),
            row(
                "a variable at the end",
                Edit("EXPOSE 81", "EXPOSE 81\nENV X=1"),
                "base h, a hh",
                &[("out", "1\n")],
            ),
            row("a label at the end", Edit("ENV X=1", "LABEL X=1"), "base h, a hh", &[("out", "1\n")]),
            row(
                "a label in front",
                Edit("RUN echo 1 >/1", "LABEL Y=1\nRUN echo 1 >/1"),
                "base m, a cc",
                &[("out", "1\n")],
            ),
            row("the stage's name", Edit("AS a", "AS b"), "base h, b hh", &[("out", "1\n")]),
        ],
    },
    Case {
        name: "the name of a stage that others use",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS base\nRUN echo 1 >/1\nFROM base AS mid\nRUN echo 2 >/2\nFROM mid AS a\nCOPY --from=base /1 /out\n",
        context: &[],
        flags: &[],
        rows: &[
            row("in FROM", Edit("mid", "middle"), "base h, middle h, a h", &[("out", "1\n"), ("2", "2\n")]),
            row("in COPY", Edit("base", "basis"), "basis h, middle h, a h", &[("out", "1\n")]),
            row("as a number", Edit("--from=basis", "--from=0"), "basis h, middle h, a h", &[("out", "1\n")]),
        ],
    },
    Case {
        name: "variables of the stage below",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS base\nENV A=1\nFROM base AS a\nRUN echo $A >/out\n",
        context: &[],
        flags: &[],
        rows: &[
            row("another value", Edit("A=1", "A=2"), "base, a m", &[("out", "2\n")]),
            row("the first value", Edit("A=2", "A=1"), "base, a h", &[("out", "1\n")]),
        ],
    },
    Case {
        name: "targets",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nCOPY one /1\nFROM a AS b\nCOPY two /2\nFROM scratch AS unused\nCOPY three /3\nFROM b AS c\nRUN cat /1 /2 >/out\n",
        context: &[("one", "1\n"), ("two", "2\n"), ("three", "3\n")],
        flags: &[],
        rows: &[
            flagged("one in the middle", &["--target=b"], "a h, b h", &[("2", "2\n"), ("out", "-")]),
            row("an unused stage changed", Shell("echo 4 >three"), "a h, b h, c h", &[("out", "1\n2\n")]),
            both(
                "a change, built up to the middle",
                Shell("echo 5 >two"),
                &["--target=b"],
                "a h, b m",
                &[("2", "5\n")],
            ),
            row("and then to the end", Nothing, "a h, b h, c m", &[("out", "1\n5\n")]),
        ],
    },
    Case {
        name: "triggers of a stage",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS base\nONBUILD COPY f /f\nFROM base AS a\nRUN cat /[fg] >/out\n",
        context: &[("f", "1\n")],
        flags: &["--format=docker"],
        rows: &[
            row("the file of the trigger", Shell("echo 2 >f"), "base, a mm", &[("out", "2\n")]),
            row("as at first", Shell("echo 1 >f"), "base, a hh", &[("out", "1\n")]),
            row("another trigger", Edit("COPY f /f", "COPY f /g"), "base, a mm", &[("g", "1\n")]),
        ],
    },
    Case {
        name: "a base image",
        kind: Kind::Buildah,
        file: "FROM localhost/base:1 AS a\nCOPY own /own\n",
        context: &[("own", "o\n")],
        flags: &[],
        rows: &[
            row("made again with another file", Base("2\n"), "a m", &[("f", "2\n"), ("own", "o\n")]),
            row("the first one again", Base("1\n"), "a h", &[("f", "1\n")]),
            row(
                "another name for it",
                Engine(&["tag localhost/base:1 localhost/base:2"]),
                "a h",
                &[("f", "1\n")],
            ),
            row("FROM that name", Edit("base:1", "base:2"), "a h", &[("f", "1\n")]),
        ],
    },
    Case {
        name: "files of an image",
        kind: Kind::Buildah,
        file: "FROM scratch AS a\nCOPY --from=localhost/base:1 /f /f\n",
        context: &[],
        flags: &[],
        rows: &[
            row("another image with another file", Base("2\n"), "a m", &[("f", "2\n")]),
            row("the first one again", Base("1\n"), "a h", &[("f", "1\n")]),
            row("another image with the same file", Base("1\n more"), "a c", &[("f", "1\n")]),
        ],
    },
    Case {
        name: "a mount of an image",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nRUN --mount=type=bind,from=localhost/base:1,target=/m cat /m/f >/out\n",
        context: &[],
        flags: &[],
        rows: &[
            row("another image under the name", Base("2\n"), "a m", &[("out", "2\n")]),
            row("the first one again", Base("1\n"), "a h", &[("out", "1\n")]),
        ],
    },
    Case {
        name: "the author and the port of the stage below",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS base\nRUN echo 1 >/1\nMAINTAINER one\nFROM docker.io/library/busybox AS a\nRUN --mount=type=bind,from=base,target=/m cat /m/1 >/out\nCOPY --from=base /1 /1\n",
        context: &[],
        flags: &[],
        rows: &[
            row("MAINTAINER", Edit("MAINTAINER one", "MAINTAINER two"), "base h, a hh", &[("out", "1\n")]),
            row("EXPOSE", Edit("MAINTAINER two", "EXPOSE 80"), "base h, a hh", &[("1", "1\n")]),
        ],
    },
    Case {
        name: "metadata of what a mounted stage has",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS src\nRUN mkdir -p /d/s && echo 1 >/d/s/f && ln -s f /d/s/l\nCOPY d/f /d/x/f\nFROM docker.io/library/busybox AS a\nRUN --mount=type=bind,from=src,source=/d/s,target=/m ls -ln /m | wc -l >/out; stat -c '%a %u' /m /m/f >>/out; ls -l /m/l | grep -o '[a-z]*$' >>/out\nRUN --mount=type=bind,from=src,source=/d/x,target=/m cat /m/f >/x\n",
        context: &[("d/f", "1\n")],
        flags: &[],
        rows: &[
            row(
                "a file's mode",
                Edit("ln -s", "chmod 600 /d/s/f && ln -s"),
                "src mm, a mm",
                &[("out", "3\n755 0\n600 0\nf\n")],
            ),
            row(
                "a file's owner",
                Edit("chmod 600", "chown 7:7"),
                "src mm, a mm",
                &[("out", "3\n755 0\n644 7\nf\n")],
            ),
            row(
                "the folder's mode",
                Edit("chown 7:7 /d/s/f", "chmod 700 /d/s"),
                "src mm, a mm",
                &[("out", "3\n700 0\n644 0\nf\n")],
            ),
            row(
                "a link's target",
                Edit("ln -s f", "ln -s g"),
                "src mm, a mm",
                &[("out", "3\n700 0\n644 0\ng\n")],
            ),
            row(
                "a file beside it",
                Edit("/d/s/l", "/d/s/l && echo 2 >/d/g"),
                "src mm, a cc",
                &[("out", "3\n700 0\n644 0\ng\n")],
            ),
            row("an extended attribute", Xattr(Some("1")), "src hm, a cm", &[("x", "1\n")]),
            row("that again", Xattr(None), "src hh, a hh", &[("x", "1\n")]),
        ],
    },
    Case {
        name: "a copy of what a stage has",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS src\nRUN mkdir /d && echo 1 >/d/f && cp /d/f /d/g && ln -s /d /l\nFROM docker.io/library/busybox AS a\nCOPY --from=src /l /c\nCOPY --from=src /d/[f-g] /e/\n",
        context: &[],
        flags: &[],
        rows: &[
            row(
                "a mode",
                Edit("cp /d/f", "chmod 600 /d/f && cp /d/f"),
                "src m, a mm",
                &[("c/f", "file 600 0:0 1\n"), ("e/f", "file 600 0:0 1\n")],
            ),
            row("an owner", Edit("chmod 600", "chown 3:4"), "src m, a mm", &[("c/f", "file 644 3:4 1\n")]),
            row(
                "one more file",
                Edit("ln -s /d", "echo h >/d/h && ln -s /d"),
                "src m, a mm",
                &[("c/h", "h\n"), ("e/h", "-")],
            ),
            row(
                "a file removed",
                Edit("ln -s /d", "rm /d/f && ln -s /d"),
                "src m, a mm",
                &[("c/f", "-"), ("e/f", "-"), ("e/g", "1\n")],
            ),
            row(
                "the folder of the link",
                Edit("ln -s /d", "mkdir /w && echo w >/w/w && ln -s /w"),
                "src m, a mm",
                &[("c/w", "w\n"), ("c/g", "-")],
            ),
            row(
                "a file removed by a step of its own",
                Edit("/l\nFROM", "/l\nRUN rm /w/w\nFROM"),
                "src hm, a mm",
                &[("c/w", "-"), ("e/g", "1\n")],
            ),
        ],
    },
    Case {
        name: "hard links of a stage",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS src\nRUN mkdir /d && echo 1 >/d/f && cp /d/f /d/g\nFROM docker.io/library/busybox AS a\nCOPY --from=src /d /d\n",
        context: &[],
        flags: &[],
        rows: &[row(
            "one file of two names",
            Edit("cp", "ln"),
            "src m, a c",
            &[("d/f", "1\n"), ("d/g", "1\n")],
        )],
    },
    Case {
        name: "the config of a base image",
        kind: Kind::Buildah,
        file: "FROM localhost/base:1 AS a\nCOPY f there/f\nRUN echo $E >/tmp/out; pwd >>/tmp/out; id -u >>/tmp/out\n",
        context: &[("f", "1\n"), ("../base/Containerfile", "FROM docker.io/library/busybox\nCMD [\"x\"]\n")],
        flags: &["--format=docker"],
        rows: &[
            row(
                "busybox",
                Rebase("FROM docker.io/library/busybox\n"),
                "a mm",
                &[("tmp/out", "\n/\n0\n"), ("there/f", "1\n")],
            ),
            row(
                "ENV",
                Rebase("FROM docker.io/library/busybox\nENV E=1\n"),
                "a mm",
                &[("tmp/out", "1\n/\n0\n")],
            ),
            row(
                "another value",
                Rebase("FROM docker.io/library/busybox\nENV E=2\n"),
                "a mm",
                &[("tmp/out", "2\n/\n0\n")],
            ),
            row(
                "WORKDIR",
                Rebase("FROM docker.io/library/busybox\nWORKDIR /tmp\n"),
                "a mm",
                &[("tmp/out", "\n/tmp\n0\n"), ("tmp/there/f", "1\n")],
            ),
            row(
                "USER",
                Rebase("FROM docker.io/library/busybox\nUSER user\n"),
                "a mm",
                &[("tmp/out", "\n/\n1000\n")],
            ),
            row(
                "SHELL",
                Rebase("FROM docker.io/library/busybox\nSHELL [\"/bin/sh\", \"-ec\"]\n"),
                "a mm",
                &[("tmp/out", "\n/\n0\n")],
            ),
            row(
                "a trigger",
                Rebase("FROM docker.io/library/busybox\nONBUILD COPY f /g\n"),
                "a mmm",
                &[("g", "1\n"), ("tmp/out", "\n/\n0\n")],
            ),
            row("what the trigger copies", Shell("echo 2 >f"), "a mmm", &[("g", "2\n"), ("there/f", "2\n")]),
            row(
                "a user of another number",
                Rebase(
                    "FROM docker.io/library/busybox\nRUN echo user:x:7:7::/:/bin/sh >/etc/passwd\nUSER user\n",
                ),
                "a mm",
                &[("tmp/out", "\n/\n7\n")],
            ),
            row(
                "busybox again",
                Rebase("FROM docker.io/library/busybox\n"),
                "a mm",
                &[("tmp/out", "\n/\n0\n"), ("there/f", "2\n")],
            ),
        ],
    },
    Case {
        name: "the config of a stage below",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS base\nRUN true\nWORKDIR /v\nUSER 0\nFROM base AS a\nCOPY f f\nRUN pwd >/tmp/out; id -u >>/tmp/out\n",
        context: &[("f", "1\n")],
        flags: &[],
        rows: &[
            row("WORKDIR", Edit("/v", "/w"), "base h, a mm", &[("w/f", "1\n"), ("tmp/out", "/w\n0\n")]),
            row("USER", Edit("USER 0", "USER 5"), "base h, a mm", &[("tmp/out", "/w\n5\n")]),
            row(
                "as at first",
                File(
                    "FROM docker.io/library/busybox AS base\nRUN true\nWORKDIR /v\nUSER 0\nFROM base AS a\nCOPY f f\nRUN pwd >/tmp/out; id -u >>/tmp/out\n",
                ),
                "base h, a hh",
                &[("tmp/out", "/v\n0\n")],
            ),
        ],
    },
    Case {
        name: "two stages of one name",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS x\nCOPY one /f\nFROM docker.io/library/busybox AS x\nCOPY two /f\nFROM docker.io/library/busybox AS last\nCOPY --from=x /f /f\nRUN cat /f >/out\n",
        context: &[("one", "1\n"), ("two", "2\n")],
        flags: &[],
        rows: &[
            row("the one that is not taken", Shell("echo 3 >one"), "x h, last hh", &[("out", "2\n")]),
            row("the one that is taken", Shell("echo 4 >two"), "x m, last mm", &[("out", "4\n")]),
        ],
    },
    Case {
        name: "a cache that begins as a stage",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS seed\nCOPY f /d/f\nFROM docker.io/library/busybox AS a\nRUN --mount=type=cache,from=seed,source=/d,target=/c cat /c/f >/out\n",
        context: &[("f", "1\n")],
        flags: &[],
        rows: &[
            row("touched", Shell("touch f"), "seed h, a h", &[("out", "1\n")]),
            row("edited", Shell("echo 2 >f"), "seed m, a m", &[("out", "2\n")]),
        ],
    },
];
