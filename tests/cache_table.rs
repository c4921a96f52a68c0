//! What makes a step run again and what does not: a table of changes, each with the verdict of every step and with the
//! files that the image has to hold afterwards, so that a stale hit cannot pass.
//!
//! A scenario is built once, then changed and built again for each of its rows. Verdicts: `h` for a hit, `c` for a hit
//! because other stages gave the same bytes, `m` for a miss.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use support::{Files, Kind, Scenario};

/// One Containerfile, and what is done to it.
struct Case {
    name: &'static str,
    kind: Kind,
    file: &'static str,
    /// Files of the context.
    context: &'static [(&'static str, &'static str)],
    /// Flags of every build.
    flags: &'static [&'static str],
    rows: &'static [Row],
}

/// One change.
struct Row {
    what: &'static str,
    change: Change,
    /// Flags of this build alone.
    flags: &'static [&'static str],
    verdicts: &'static str,
    /// Paths with the content that they must have, or `-` for none. What starts with `file`, `folder` or `link` is
    /// the whole entry; a path that starts with `/` is a place of the image's config.
    files: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy)]
enum Change {
    Nothing,
    /// A script that runs in the context.
    Shell(&'static str),
    /// Another Containerfile.
    File(&'static str),
    /// A replacement in the Containerfile.
    Edit(&'static str, &'static str),
    /// Calls of the engine on the storage, words split at spaces.
    Engine(&'static [&'static str]),
    /// An image `localhost/base:1` with this file `/f`, made by the engine.
    Base(&'static str),
    /// An extended attribute of `d/f`.
    Xattr(Option<&'static str>),
    /// The same tree at another place: other inodes, other times.
    Clone,
    /// From here on another engine on the same storage.
    Switch(Kind),
}

use Change::{Base, Clone as Cloned, Edit, Engine, File, Nothing, Shell, Switch, Xattr};

const fn row(
    what: &'static str,
    change: Change,
    verdicts: &'static str,
    files: &'static [(&'static str, &'static str)],
) -> Row {
    Row { what, change, flags: &[], verdicts, files }
}

const fn flagged(
    what: &'static str,
    flags: &'static [&'static str],
    verdicts: &'static str,
    files: &'static [(&'static str, &'static str)],
) -> Row {
    Row { what, change: Nothing, flags, verdicts, files }
}

const PLANNER: &str = "\
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

const CHAIN: &str = "\
FROM docker.io/library/busybox AS a
COPY one /1
RUN cat /1 >/out
COPY two /2
";

const CASES: &[Case] = &[
    Case {
        name: "a file of the context",
        kind: Kind::Buildah,
        file: "FROM scratch AS a\nCOPY f /f\n",
        context: &[("f", "1\n")],
        flags: &[],
        rows: &[
            row("nothing", Nothing, "a h", &[("f", "1\n")]),
            row("touched", Shell("touch f"), "a h", &[("f", "1\n")]),
            row("written anew", Shell("cp f g; mv g f"), "a h", &[("f", "1\n")]),
            row("other content", Shell("echo 2 >f"), "a m", &[("f", "2\n")]),
            row("the first content again", Shell("echo 1 >f"), "a h", &[("f", "1\n")]),
            row("the second again", Shell("echo 2 >f"), "a h", &[("f", "2\n")]),
            row(
                "same size and time",
                Shell("touch -r f t; echo 3 >f; touch -r t f; rm t"),
                "a m",
                &[("f", "3\n")],
            ),
            row(
                "same size and time, new inode",
                Shell("echo 4 >g; touch -r f g; mv g f"),
                "a m",
                &[("f", "4\n")],
            ),
            row("another mode", Shell("chmod 755 f"), "a m", &[("f", "file 755 0:0 4\n")]),
            row("the mode as before", Shell("chmod 644 f"), "a h", &[("f", "file 644 0:0 4\n")]),
            row("another owner", Shell("chown 1000:1000 f"), "a h", &[("f", "file 644 0:0 4\n")]),
            row("an empty file", Shell(": >f"), "a m", &[("f", "")]),
            row("a file that nobody copies", Shell("echo x >other"), "a h", &[("f", "")]),
            row("the other place of a clone", Cloned, "a h", &[("f", "")]),
        ],
    },
    Case {
        name: "a folder of the context",
        kind: Kind::Buildah,
        file: "FROM scratch AS a\nCOPY d /d\n",
        context: &[("d/x", "1\n"), ("d/sub/y", "2\n")],
        flags: &[],
        rows: &[
            row("touched", Shell("touch d d/x d/sub d/sub/y"), "a h", &[("d/x", "1\n")]),
            row("a file added", Shell("echo 3 >d/z"), "a m", &[("d/z", "3\n")]),
            row("the file removed", Shell("rm d/z"), "a h", &[("d/z", "-")]),
            row("a file renamed", Shell("mv d/x d/w"), "a m", &[("d/x", "-"), ("d/w", "1\n")]),
            row("a file below changed", Shell("echo 4 >d/sub/y"), "a m", &[("d/sub/y", "4\n")]),
            row("a link added", Shell("ln -s w d/l"), "a m", &[("d/l", "link w")]),
            row("another target of the link", Shell("ln -sfn sub d/l"), "a m", &[("d/l", "link sub")]),
            row("the first target again", Shell("ln -sfn w d/l"), "a h", &[("d/l", "link w")]),
            row("an empty folder added", Shell("mkdir d/empty"), "a m", &[("d/empty", "folder 755 0:0")]),
            row(
                "another mode of a folder",
                Shell("chmod 700 d/empty"),
                "a m",
                &[("d/empty", "folder 700 0:0")],
            ),
            row(
                "a file in place of the folder",
                Shell("rmdir d/empty; echo >d/empty"),
                "a m",
                &[("d/empty", "\n")],
            ),
            row(
                "two files swapped",
                Shell("mv d/w t; mv d/sub/y d/w; mv t d/sub/y"),
                "a m",
                &[("d/w", "4\n"), ("d/sub/y", "1\n")],
            ),
        ],
    },
    Case {
        name: "patterns and ignored files",
        kind: Kind::Buildah,
        file: "FROM scratch AS a\nCOPY *.txt d /d/\n",
        context: &[
            ("a.txt", "1\n"),
            ("d/keep", "k\n"),
            ("d/x.log", "l\n"),
            (".containerignore", "**/*.log\n"),
        ],
        flags: &[],
        rows: &[
            row(
                "an ignored file changed",
                Shell("echo 2 >d/x.log"),
                "a h",
                &[("d/x.log", "-"), ("d/keep", "k\n")],
            ),
            row("a file beside the pattern", Shell("echo 2 >b.md"), "a h", &[("d/b.md", "-")]),
            row("a file that the pattern takes", Shell("echo 2 >b.txt"), "a m", &[("d/b.txt", "2\n")]),
            row(
                "a rule that changes nothing",
                Shell("echo nothing >>.containerignore"),
                "a h",
                &[("d/x.log", "-")],
            ),
            row("an exception", Shell("echo '!d/x.log' >>.containerignore"), "a m", &[("d/x.log", "2\n")]),
            row("no rules", Shell("rm .containerignore"), "a h", &[("d/x.log", "2\n")]),
        ],
    },
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
        name: "a mount of the context",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nRUN --mount=type=bind,source=d,target=/m cat /m/f >/out; stat -c %a /m/f >>/out\n",
        context: &[("d/f", "A\n")],
        flags: &[],
        rows: &[
            row("touched", Shell("touch d/f"), "a h", &[("out", "A\n644\n")]),
            row("edited", Shell("echo B >d/f"), "a m", &[("out", "B\n644\n")]),
            row("A again", Shell("echo A >d/f"), "a h", &[("out", "A\n644\n")]),
            row("B again", Shell("echo B >d/f"), "a h", &[("out", "B\n644\n")]),
            row("another mode", Shell("chmod 600 d/f"), "a m", &[("out", "B\n600\n")]),
            row("a file added", Shell("echo >d/g"), "a m", &[("out", "B\n600\n")]),
            row("a file beside it", Shell("echo >h"), "a h", &[("out", "B\n600\n")]),
        ],
    },
    Case {
        name: "a mount of the whole context",
        kind: Kind::Podman,
        file: "FROM docker.io/library/busybox AS a\nRUN --mount=type=bind,target=/m cat /m/f >/out\n",
        context: &[("f", "A\n"), (".containerignore", "ignored\n")],
        flags: &[],
        rows: &[
            row("edited", Shell("echo B >f"), "a m", &[("out", "B\n")]),
            row("touched", Shell("touch f"), "a h", &[("out", "B\n")]),
            row("A again", Shell("echo A >f"), "a h", &[("out", "A\n")]),
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
                "src hm, a h",
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
            row("as a number", Edit("--from=base", "--from=0"), "base h, middle h, a h", &[("out", "1\n")]),
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
                Edit("RUN pwd >/out", "USER user\nRUN pwd >/tmp/out"),
                "a hm",
                &[("out", "-")],
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
        file: "FROM docker.io/library/busybox AS a\nRUN true\nRUN echo $E >/out\n",
        context: &[],
        flags: &[],
        rows: &[
            flagged("added", &["--env=E=1"], "a mm", &[("/config/Env", "[\"PATH=/bin\",\"E=1\"]")]),
            flagged("another value", &["--env=E=2"], "a mm", &[("/config/Env", "[\"PATH=/bin\",\"E=2\"]")]),
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
        name: "mounts whose content is no input",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nRUN --mount=type=cache,target=/c echo x >>/c/f && echo 1 >/out\nRUN --mount=type=tmpfs,target=/t echo x >/t/f\nRUN --mount=type=secret,id=s test -s /run/secrets/s && echo 2 >/2\n",
        context: &[],
        flags: &["--secret=id=s,src=context/secret"],
        rows: &[
            row("nothing", Nothing, "a hhh", &[("out", "1\n")]),
            row("another secret", Shell("echo other >secret"), "a hhh", &[("2", "2\n")]),
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
        name: "modes of a clone",
        kind: Kind::Buildah,
        file: "FROM scratch AS a\nCOPY d /d\n",
        context: &[("d/f", "1\n")],
        flags: &[],
        rows: &[
            row("umask 002", Shell("chmod 664 d/f; chmod 775 d"), "a m", &[("d/f", "file 664 0:0 1\n")]),
            row("umask 022", Shell("chmod 644 d/f; chmod 755 d"), "a h", &[("d/f", "file 644 0:0 1\n")]),
        ],
    },
    Case {
        name: "modes of a clone that do not count",
        kind: Kind::Buildah,
        file: "FROM scratch AS a\nCOPY d /d\n",
        context: &[("d/f", "1\n")],
        flags: &["--ignore-file-mode"],
        rows: &[
            row("umask 002", Shell("chmod 664 d/f; chmod 775 d"), "a h", &[("d/f", "1\n")]),
            row("a clone", Cloned, "a h", &[("d/f", "1\n")]),
            row("made executable", Shell("chmod 755 d/f"), "a m", &[("d/f", "file 755 0:0 1\n")]),
        ],
    },
    Case {
        name: "extended attributes",
        kind: Kind::Buildah,
        file: "FROM scratch AS a\nCOPY d /d\n",
        context: &[("d/f", "1\n")],
        flags: &[],
        rows: &[
            row("one added", Xattr(Some("1")), "a m", &[("d/f", "1\n")]),
            row("another value", Xattr(Some("2")), "a m", &[("d/f", "1\n")]),
            row("removed", Xattr(None), "a h", &[("d/f", "1\n")]),
        ],
    },
    Case {
        name: "two branches in turn",
        kind: Kind::Buildah,
        file: CHAIN,
        context: &[("one", "1\n"), ("two", "2\n")],
        flags: &[],
        rows: &[
            row("the other branch", Shell("echo b >one; echo b >two"), "a mmm", &[("out", "b\n")]),
            row("the first", Shell("echo 1 >one; echo 2 >two"), "a hhh", &[("out", "1\n")]),
            row("the other", Shell("echo b >one; echo b >two"), "a hhh", &[("out", "b\n"), ("2", "b\n")]),
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
            Row {
                what: "a change, built up to the middle",
                change: Shell("echo 5 >two"),
                flags: &["--target=b"],
                verdicts: "a h, b m",
                files: &[("2", "5\n")],
            },
            row("and then to the end", Nothing, "a h, b h, c m", &[("out", "1\n5\n")]),
        ],
    },
    Case {
        name: "further contexts",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nCOPY --from=more f /f\nRUN cat /f >/out\n",
        context: &[("more/f", "1\n")],
        flags: &["--build-context=more=context/more"],
        rows: &[
            row("touched", Shell("touch more/f"), "a hh", &[("out", "1\n")]),
            row("edited", Shell("echo 2 >more/f"), "a mm", &[("out", "2\n")]),
            row("a file beside it", Shell("echo 2 >more/g"), "a hh", &[("out", "2\n")]),
            row("as at first", Shell("echo 1 >more/f"), "a hh", &[("out", "1\n")]),
        ],
    },
    Case {
        name: "ADD",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS a\nADD f.tar /x/\nRUN cat /x/f >/out\n",
        context: &[("f", "1\n")],
        flags: &[],
        rows: &[
            row("another archive", Shell("echo 2 >f; tar -cf f.tar f"), "a mm", &[("out", "2\n")]),
            row("touched", Shell("touch f.tar"), "a hh", &[("out", "2\n")]),
        ],
    },
    Case {
        name: "triggers of a stage",
        kind: Kind::Buildah,
        file: "FROM docker.io/library/busybox AS base\nONBUILD COPY f /f\nFROM base AS a\nRUN cat /f >/out\n",
        context: &[("f", "1\n")],
        flags: &["--format=docker"],
        rows: &[
            row("the file of the trigger", Shell("echo 2 >f"), "base, a mm", &[("out", "2\n")]),
            row("as at first", Shell("echo 1 >f"), "base, a hh", &[("out", "1\n")]),
            row("another trigger", Edit("COPY f /f", "COPY f /g"), "base, a mm", &[("g", "1\n")]),
        ],
    },
];

/// The image's file, or place of its config, is as expected.
fn difference(files: &Files, config: &serde_json::Value, path: &str, expected: &str) -> Option<String> {
    if path.starts_with('/') {
        let found = config.pointer(path).unwrap_or(&serde_json::Value::Null).to_string();
        return (found != expected).then(|| format!("{path} is {found}, not {expected}"));
    }
    let found = files.get(path).map_or("-", String::as_str);
    let whole = ["file ", "folder ", "link "].iter().any(|kind| expected.starts_with(kind)) || found == "-";
    let compared = if whole { found } else { found.splitn(4, ' ').nth(3).unwrap_or(found) };
    (compared != expected).then(|| format!("{path} is {found:?}, not {expected:?}"))
}

fn apply(scenario: &mut Scenario, change: Change) {
    match change {
        Nothing => {}
        Shell(script) => drop(scenario.shell(script)),
        File(text) => drop(scenario.containerfile(text)),
        Edit(old, new) => {
            let text = std::fs::read_to_string(scenario.context().join("Containerfile")).unwrap();
            assert!(text.contains(old), "`{old}` is not in the Containerfile");
            scenario.containerfile(&text.replace(old, new));
        }
        Engine(calls) => {
            for call in calls {
                match call.strip_prefix("podman ") {
                    Some(call) => {
                        let args: Vec<&str> = call.split(' ').collect();
                        assert!(scenario.engine_output(Kind::Podman, &args).status.success(), "{call}");
                    }
                    None => drop(scenario.engine(&call.split(' ').collect::<Vec<_>>())),
                }
            }
        }
        Base(text) => base(scenario, text),
        Cloned => drop(scenario.shell(
            "cd ..; cp -r context clone; chmod --reference=context clone; mv context gone; mv clone context",
        )),
        Xattr(value) => {
            let file = scenario.context().join("d/f");
            match value {
                Some(value) => xattr::set(file, "user.x", value.as_bytes()).unwrap(),
                None => xattr::remove(file, "user.x").unwrap(),
            }
        }
        Switch(kind) => scenario.switch(kind),
    }
}

/// The same text gives the same image; what stands behind its first line is another file of it.
fn base(scenario: &Scenario, text: &str) {
    let folder = scenario.folder().join("base");
    std::fs::create_dir_all(&folder).unwrap();
    let (f, g) = text.split_once('\n').unwrap();
    std::fs::write(folder.join("f"), format!("{f}\n")).unwrap();
    std::fs::write(folder.join("g"), g).unwrap();
    std::fs::write(folder.join("Containerfile"), "FROM scratch\nCOPY f g /\n").unwrap();
    let folder = folder.display().to_string();
    scenario.engine(&[
        "build",
        "--quiet",
        "--timestamp=0",
        "--layers=false",
        "--tag=localhost/base:1",
        &folder,
    ]);
}

fn run(case: &Case, wrong: &Mutex<Vec<String>>) {
    let mut scenario = Scenario::on(case.kind, case.file).flags(case.flags);
    for (path, text) in case.context {
        scenario.write(path, text);
    }
    if case.file.contains("localhost/base:1") {
        base(&scenario, "1\n");
    }
    if case.file.contains("f.tar") {
        scenario.shell("tar -cf f.tar f");
    }
    if case.flags.iter().any(|flag| flag.starts_with("--secret")) {
        scenario.write("secret", "s\n");
    }
    let first = scenario.build(&[]).ok();
    let steps: String =
        first.verdicts().split(", ").filter_map(|stage| stage.split_once(' ')).map(|(_, s)| s).collect();
    assert!(steps.chars().all(|letter| letter == 'm'), "{}: the first build had hits", case.name);
    for row in case.rows {
        let place = format!("{}: {}", case.name, row.what);
        apply(&mut scenario, row.change);
        let built = scenario.build(row.flags);
        if built.code != 0 {
            wrong.lock().unwrap().push(format!("{place}: the build failed\n{}", built.stderr));
            continue;
        }
        let mut problems = Vec::new();
        if built.verdicts() != row.verdicts {
            problems.push(format!(
                "verdicts `{}`, not `{}`\n{}",
                built.verdicts(),
                row.verdicts,
                built.stderr
            ));
        }
        let image = scenario.image(&built.image());
        let files = scenario.files(&image);
        problems.extend(
            row.files.iter().filter_map(|(path, text)| difference(&files, &image.config, path, text)),
        );
        wrong.lock().unwrap().extend(problems.into_iter().map(|problem| format!("{place}: {problem}")));
    }
    scenario.assert_clean();
}

#[test]
fn every_change_has_its_verdict_and_no_hit_is_stale() {
    let rows: usize = CASES.iter().map(|case| case.rows.len()).sum();
    assert!(rows >= 80, "{rows} rows");
    let only = std::env::var("CASE").ok();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = CASES.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if only.as_ref().is_some_and(|only| !case.name.contains(only.as_str())) {
                        continue;
                    }
                    if catch_unwind(AssertUnwindSafe(|| run(case, &wrong))).is_err() {
                        wrong.lock().unwrap().push(format!("{}: see above", case.name));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {rows} rows:\n{}", wrong.len(), wrong.join("\n"));
}
