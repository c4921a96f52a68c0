//! What is written in the Containerfile, and its arguments.

use crate::support::Kind;
use crate::table::Change::*;
use crate::table::{Case, both, failing, flagged, row};

pub const CHAIN: &str = "\
FROM docker.io/library/busybox AS a
COPY one /1
RUN cat /1 >/out
COPY two /2
";

pub const CASES: &[Case] = &[
    Case {
        name: "steps behind each other",
        kind: Kind::Buildah,
        file: CHAIN,
        context: &[("one", "1\n"), ("two", "2\n")],
        flags: &[],
        rows: &[
            row("the last source", Shell("echo 3 >two"), "a hhm", &[("2", "3\n"), ("out", "1\n")]),
            row("the first source", Shell("echo 4 >one"), "a mmm", &[("2", "3\n"), ("out", "4\n")]),
            row("a comment", Edit("RUN", "# why\n\nRUN"), "a hhh", &[("out", "4\n")]),
            row("a line cut in two", Edit("cat /1 >", "cat \\\n/1 >"), "a hhh", &[("out", "4\n")]),
            row("another command", Edit("/1 >/out", "/1 /1 >/out"), "a hmm", &[("out", "4\n4\n")]),
            row(
                "a step added",
                Edit("COPY two /2", "COPY two /2\nRUN echo 5 >/5"),
                "a hhhm",
                &[("5", "5\n")],
            ),
            row("the step removed", Edit("\nRUN echo 5 >/5", ""), "a hhh", &[("5", "-"), ("2", "3\n")]),
            row("the command as before", File(CHAIN), "a hhh", &[("out", "4\n")]),
            row(
                "both sources as at first",
                Shell("echo 1 >one; echo 2 >two"),
                "a hhh",
                &[("out", "1\n"), ("2", "2\n")],
            ),
            row(
                "the Containerfile under another name",
                Shell("mv Containerfile Dockerfile"),
                "a hhh",
                &[("out", "1\n")],
            ),
        ],
    },
    Case {
        name: "the same with podman",
        kind: Kind::Podman,
        file: CHAIN,
        context: &[("one", "1\n"), ("two", "2\n")],
        flags: &[],
        rows: &[
            row("touched", Shell("touch one two"), "a hhh", &[("out", "1\n")]),
            row("the last source", Shell("echo 3 >two"), "a hhm", &[("2", "3\n"), ("out", "1\n")]),
            row("the first source", Shell("echo 4 >one"), "a mmm", &[("2", "3\n"), ("out", "4\n")]),
            row("as at first", Shell("echo 1 >one; echo 2 >two"), "a hhh", &[("out", "1\n"), ("2", "2\n")]),
        ],
    },
    Case {
        name: "build arguments",
        kind: Kind::Buildah,
        file: "ARG TAG=latest\nFROM docker.io/library/busybox:$TAG AS a\nRUN echo 0 >/0\nARG V=1\nRUN echo $V >/out\nARG LATE=x\nRUN echo 3 >/3\n",
        context: &[],
        flags: &[],
        rows: &[
            flagged("the default given", &["--build-arg=V=1"], "a hhh", &[("out", "1\n")]),
            flagged("another value", &["--build-arg=V=2"], "a hmm", &[("out", "2\n")]),
            flagged("that value again", &["--build-arg=V=2"], "a hhh", &[("out", "2\n")]),
            flagged("no value", &[], "a hhh", &[("out", "1\n")]),
            flagged("one that comes later", &["--build-arg=LATE=y"], "a hhm", &[("out", "1\n")]),
            flagged("one that the file does not have", &["--build-arg=NOBODY=1"], "a hhh", &[("out", "1\n")]),
            flagged("the base's tag, the same", &["--build-arg=TAG=latest"], "a hhh", &[("out", "1\n")]),
            flagged("an empty value", &["--build-arg=V="], "a hmm", &[("out", "\n")]),
        ],
    },
    Case {
        name: "arguments in COPY",
        kind: Kind::Buildah,
        file: "FROM scratch AS a\nARG SRC=one\nARG OTHER=1\nCOPY $SRC /f\n",
        context: &[("one", "1\n"), ("two", "2\n")],
        flags: &[],
        rows: &[
            flagged("another source", &["--build-arg=SRC=two"], "a m", &[("f", "2\n")]),
            flagged("the default", &["--build-arg=SRC=one"], "a h", &[("f", "1\n")]),
        ],
    },
    Case {
        name: "metadata in front of a step",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nENV D=/x\nWORKDIR /w\nCOPY f $D/f\nRUN pwd >/out; id -u >>/out\nCMD [\"one\"]\n",
        context: &[("f", "1\n")],
        flags: &[],
        rows: &[
            row("a variable that COPY uses", Edit("D=/x", "D=/y"), "a mm", &[("y/f", "1\n"), ("x/f", "-")]),
            row("the working directory", Edit("WORKDIR /w", "WORKDIR /v"), "a mm", &[("out", "/v\n0\n")]),
            row(
                "the user of RUN",
                Edit("RUN pwd >/out; id -u >>/out", "USER user\nRUN id -u >/tmp/out"),
                "a hm",
                &[("tmp/out", "1000\n")],
            ),
            row("the command", Edit("[\"one\"]", "[\"two\"]"), "a hh", &[("/config/Cmd", "[\"two\"]")]),
            row(
                "a label at the end",
                Edit("CMD", "LABEL l=1\nCMD"),
                "a hh",
                &[("/config/Labels/l", "\"1\"")],
            ),
            row(
                "the entry point",
                Edit("CMD [\"two\"]", "ENTRYPOINT [\"e\"]"),
                "a hh",
                &[("/config/Entrypoint", "[\"e\"]")],
            ),
        ],
    },
    Case {
        name: "flags of COPY",
        kind: Kind::Buildah,
        file: "FROM scratch AS a\nARG WHO=1:1\nCOPY --chown=1:1 f /f\n",
        context: &[("f", "1\n")],
        flags: &[],
        rows: &[
            row("another owner", Edit("--chown=1:1", "--chown=2:3"), "a m", &[("f", "file 644 2:3 1\n")]),
            row("a mode", Edit("--chown=2:3", "--chmod=711"), "a m", &[("f", "file 711 0:0 1\n")]),
            row("another place", Edit("--chmod=711 f /f", "f /g"), "a m", &[("g", "1\n"), ("f", "-")]),
        ],
    },
    Case {
        name: "mounts whose content is no input",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nRUN --mount=type=cache,target=/c echo x >>/c/f && echo 1 >/out\nRUN --mount=type=tmpfs,target=/t echo x >/t/f\nRUN --mount=type=secret,id=s test -s /run/secrets/s && echo 2 >/2\n",
        context: &[("secret", "s\n")],
        flags: &["--secret=id=s,src=context/secret"],
        rows: &[
            row("nothing", Nothing, "a hhh", &[("out", "1\n")]),
            row("another secret", Shell("echo other >secret"), "a hhh", &[("2", "2\n")]),
        ],
    },
    Case {
        name: "arguments of the heading",
        kind: Kind::Buildah,
        file: "ARG V=1\nARG W=1\nFROM docker.io/library/busybox AS a\nARG V\nENV E=$V\nRUN echo $V $E >/out\n",
        context: &[],
        flags: &[],
        rows: &[
            row("another default", Edit("ARG V=1", "ARG V=2"), "a m", &[("out", "2 2\n")]),
            row(
                "that of one that the stage does not take",
                Edit("ARG W=1", "ARG W=2"),
                "a h",
                &[("out", "2 2\n")],
            ),
            flagged("a value that is the default", &["--build-arg=V=2"], "a h", &[("out", "2 2\n")]),
            flagged("another value", &["--build-arg=V=3"], "a m", &[("out", "3 3\n")]),
            row(
                "one that the stage sets itself",
                Edit("ARG V\nENV", "ARG V=4\nENV"),
                "a m",
                &[("out", "4 4\n")],
            ),
            row("not used by the command", Edit("RUN echo $V $E", "RUN echo 5"), "a m", &[("out", "5\n")]),
        ],
    },
    Case {
        name: "an argument that no command uses",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nARG V=1\nCOPY f /f\nRUN cat /f >/out\n",
        context: &[("f", "1\n")],
        flags: &[],
        rows: &[
            // COPY has its arguments in its words; a command can read every variable.
            flagged("another value", &["--build-arg=V=2"], "a hm", &[("out", "1\n")]),
            flagged("the default", &[], "a hh", &[("out", "1\n")]),
        ],
    },
    Case {
        name: "arguments that need no ARG",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nCOPY f /f\nRUN echo $HTTP_PROXY >/out\n",
        context: &[("f", "1\n")],
        flags: &["--http-proxy=false"],
        rows: &[
            flagged("a proxy", &["--build-arg=HTTP_PROXY=http://a"], "a hm", &[("out", "http://a\n")]),
            flagged("another one", &["--build-arg=HTTP_PROXY=http://b"], "a hm", &[("out", "http://b\n")]),
            flagged("none", &[], "a hh", &[("out", "\n")]),
        ],
    },
    Case {
        name: "arguments in flags of COPY",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nARG O=1:1\nCOPY --chown=$O f /f\nRUN stat -c %u /f >/out\n",
        context: &[("f", "1\n")],
        flags: &[],
        rows: &[
            flagged(
                "another owner",
                &["--build-arg=O=2:2"],
                "a mm",
                &[("f", "file 644 2:2 1\n"), ("out", "2\n")],
            ),
            flagged(
                "the first",
                &["--build-arg=O=1:1"],
                "a hh",
                &[("f", "file 644 1:1 1\n"), ("out", "1\n")],
            ),
        ],
    },
    Case {
        name: "owners by name",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nCOPY passwd /etc/passwd\nCOPY --chown=user f /f\n",
        context: &[("f", "1\n"), ("passwd", "root:x:0:0::/:/bin/sh\nuser:x:5:5::/:/bin/sh\n")],
        flags: &[],
        rows: &[
            row("another number", Shell("sed -i s/5:5/6:6/ passwd"), "a mm", &[("f", "file 644 6:6 1\n")]),
            row("another file", Shell("echo 2 >f"), "a hm", &[("f", "file 644 6:6 2\n")]),
        ],
    },
    Case {
        name: "the platform",
        kind: Kind::Buildah,
        file: "FROM scratch AS a\nARG TARGETARCH\nCOPY $TARGETARCH /f\n",
        context: &[("amd64", "1\n"), ("arm64", "2\n")],
        flags: &[],
        rows: &[
            flagged(
                "another one",
                &["--platform=linux/arm64"],
                "a m",
                &[("f", "2\n"), ("/architecture", "\"arm64\"")],
            ),
            flagged(
                "the first, by name",
                &["--platform=linux/amd64"],
                "a h",
                &[("f", "1\n"), ("/architecture", "\"amd64\"")],
            ),
            flagged("both", &["--platform=linux/amd64,linux/arm64"], "a h", &[("f", "2\n")]),
            both(
                "a file of one",
                Shell("echo 3 >amd64"),
                &["--platform=linux/arm64,linux/amd64"],
                "a m",
                &[("f", "3\n")],
            ),
            both(
                "a file of the other",
                Shell("echo 4 >arm64"),
                &["--platform=linux/arm64,linux/amd64"],
                "a h",
                &[("f", "3\n")],
            ),
            flagged("that other", &["--platform=linux/arm64"], "a h", &[("f", "4\n")]),
        ],
    },
    Case {
        name: "the shell",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nRUN true\nSHELL [\"/bin/sh\", \"-c\"]\nRUN echo $0 $- >/out\n",
        context: &[],
        flags: &["--format=docker"],
        rows: &[
            row(
                "another one",
                Edit("\"-c\"", "\"-uc\""),
                "a hm",
                &[("/config/Shell", "[\"/bin/sh\",\"-uc\"]")],
            ),
            row("none", Edit("SHELL [\"/bin/sh\", \"-uc\"]\n", ""), "a hm", &[("/config/Shell", "null")]),
        ],
    },
    Case {
        name: "secrets and places",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nRUN --mount=type=secret,id=s cat /run/secrets/s >/out\nCOPY f /f\n",
        context: &[("secret", "1\n"), ("other", "2\n"), ("f", "1\n")],
        flags: &["--secret=id=s,src=context/secret", "--secret=id=t,src=context/other"],
        rows: &[
            row(
                "another id",
                Edit("id=s cat /run/secrets/s", "id=t cat /run/secrets/t"),
                "a mm",
                &[("out", "2\n")],
            ),
            row(
                "another place in the command",
                Edit("id=t cat /run/secrets/t", "id=t,target=/t cat /t"),
                "a mm",
                &[("out", "2\n")],
            ),
            row(
                "the file copied to another place",
                Edit("COPY f /f", "COPY f /g"),
                "a hm",
                &[("g", "1\n"), ("f", "-")],
            ),
            row("to both", Edit("COPY f /g", "COPY f /g\nCOPY f /f"), "a hhm", &[("g", "1\n"), ("f", "1\n")]),
        ],
    },
    Case {
        name: "several Containerfiles",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nRUN echo 1 >/1\n",
        context: &[("part", "FROM a AS b\nRUN echo 2 >/2\n")],
        flags: &["--file=context/Containerfile", "--file=context/part"],
        rows: &[
            row("the second", Shell("sed -i s/2/3/g part"), "a h, b m", &[("1", "1\n"), ("3", "3\n")]),
            row(
                "a remark in the first",
                Edit("RUN", "# why\nRUN"),
                "a h, b h",
                &[("1", "1\n"), ("3", "3\n")],
            ),
            row("the first", Edit("echo 1", "echo 4"), "a m, b m", &[("1", "4\n"), ("3", "3\n")]),
        ],
    },
    Case {
        name: "stages that come, go and change places",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS x\nCOPY one /1\nFROM docker.io/library/busybox AS y\nCOPY two /2\nFROM docker.io/library/busybox AS last\nCOPY --from=x /1 /1\nCOPY --from=y /2 /2\nRUN cat /1 /2 >/out\n",
        context: &[("one", "1\n"), ("two", "2\n")],
        flags: &[],
        rows: &[
            row(
                "in another order",
                File(
                    "FROM docker.io/library/busybox AS y\nCOPY two /2\nFROM docker.io/library/busybox AS x\nCOPY one /1\nFROM docker.io/library/busybox AS last\nCOPY --from=x /1 /1\nCOPY --from=y /2 /2\nRUN cat /1 /2 >/out\n",
                ),
                "y h, x h, last hhh",
                &[("out", "1\n2\n")],
            ),
            row(
                "their names swapped",
                File(
                    "FROM docker.io/library/busybox AS x\nCOPY two /1\nFROM docker.io/library/busybox AS y\nCOPY one /2\nFROM docker.io/library/busybox AS last\nCOPY --from=x /1 /1\nCOPY --from=y /2 /2\nRUN cat /1 /2 >/out\n",
                ),
                "x m, y m, last mmm",
                &[("out", "2\n1\n")],
            ),
            row(
                "one between them that nobody uses",
                Edit(
                    "FROM docker.io/library/busybox AS y",
                    "FROM scratch AS z\nCOPY one /\nFROM docker.io/library/busybox AS y",
                ),
                "x h, y h, last hhh",
                &[("out", "2\n1\n")],
            ),
            row(
                "both in one",
                File(
                    "FROM docker.io/library/busybox AS x\nCOPY two /1\nCOPY one /2\nFROM docker.io/library/busybox AS last\nCOPY --from=x /1 /1\nCOPY --from=x /2 /2\nRUN cat /1 /2 >/out\n",
                ),
                "x hm, last ccc",
                &[("out", "2\n1\n")],
            ),
        ],
    },
    Case {
        name: "a step that fails and is repaired",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nCOPY f /f\nRUN cat /f >/out\n",
        context: &[("f", "1\n")],
        flags: &[],
        rows: &[
            failing(
                "fails",
                Edit("RUN cat /f >/out", "RUN echo 9 >/out; grep 2 /f\nRUN echo 3 >/3"),
                &[],
                "a hm-",
            ),
            failing("once more", Nothing, &[], "a hm-"),
            row(
                "another file, with which it does not",
                Shell("echo 2 >f"),
                "a mmm",
                &[("out", "9\n"), ("3", "3\n")],
            ),
            failing("the first file", Shell("echo 1 >f"), &[], "a hm-"),
            row(
                "and the command that worked",
                Edit("echo 9 >/out; grep 2 /f", "cat /f >/out"),
                "a hhm",
                &[("out", "1\n"), ("3", "3\n")],
            ),
        ],
    },
    Case {
        name: "a secret that may be missing",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nRUN --mount=type=secret,id=s cat /run/secrets/s >/out; true\nRUN --mount=type=secret,id=t true\n",
        context: &[("secret", "1\n")],
        flags: &[],
        rows: &[
            flagged("given", &["--secret=id=s,src=context/secret"], "a mm", &[("out", "1\n")]),
            flagged(
                "one that nobody asks for",
                &["--secret=id=u,src=context/secret"],
                "a hh",
                &[("out", "")],
            ),
            flagged("the other one", &["--secret=id=t,src=context/secret"], "a hm", &[("out", "")]),
            both(
                "given, with another value",
                Shell("echo 2 >secret"),
                &["--secret=id=s,src=context/secret"],
                "a hh",
                &[("out", "1\n")],
            ),
            flagged("missing", &[], "a hh", &[("out", "")]),
        ],
    },
];
