# shellcheck shell=bash
# Contexts for the benchmarks. Sourced by contrib/bench.
#
# Each function makes the context in the folder that it is given. What is in the files hangs on their number alone.

BASE=docker.io/library/busybox:latest

# files FOLDER FOLDERS FILES BYTES: so many folders with so many files of so many bytes each, all different.
files() {
    local folder=$1 folders=$2 files=$3 bytes=$4 n
    for ((n = 1; n <= folders; n++)); do
        mkdir -p "$folder/d$n"
        # Twice as fast as anything that opens each file from the shell.
        # What `head` has enough of ends by a broken pipe.
        { seq -f "folder $n line %.0f" 1 $((files * bytes / 12 + 1)) || true; } | head -c $((files * bytes)) |
            split --bytes="$bytes" --suffix-length=3 --numeric-suffixes - "$folder/d$n/f"
    done
}

# Six stages, thirty instructions: a base that others share, a library, a program, its tests, its manual, and the image.
context_six() {
    mkdir -p "$1"/{tools,lib,app,test,doc,etc}
    local part
    for part in tools lib app test doc etc; do
        seq -f "$part %.0f" 1 200 >"$1/$part/one"
        seq -f "$part %.0f" 201 500 >"$1/$part/two"
    done
    cat >"$1/Containerfile" <<CONTAINERFILE
FROM $BASE AS base
ENV LANG=C
WORKDIR /build
COPY tools tools
RUN cat tools/* >toolchain

FROM base AS lib
ENV PART=lib
COPY lib lib
RUN sort lib/* >lib.sorted
RUN wc lib.sorted >lib.out

FROM base AS app
COPY app app
COPY --from=lib /build/lib.out lib.out
RUN sort app/* >app.sorted
RUN cat lib.out app.sorted >app.out

FROM app AS test
COPY test test
RUN grep -c . app.out test/* >test.out
RUN echo passed >>test.out

FROM base AS doc
COPY doc doc
RUN sort -r doc/* >manual
RUN wc -l <manual >manual.lines

FROM $BASE
COPY --from=app /build/app.out /usr/lib/app
COPY --from=test /build/test.out /usr/share/test
COPY --from=doc /build/manual /usr/share/manual
COPY etc /etc/app
ENV HOME=/root
CMD ["cat", "/usr/lib/app"]
CONTAINERFILE
}

# context_files FOLDER FOLDERS FILES BYTES: one stage copies all of it, the next takes what came out.
context_files() {
    files "$1/src" "$2" "$3" "$4"
    cat >"$1/Containerfile" <<CONTAINERFILE
FROM $BASE AS build
COPY src /src
RUN ls -R /src | wc -l >/out

FROM $BASE
COPY --from=build /out /out
CONTAINERFILE
}

# One stage of twenty commands: nothing can run beside anything.
context_chain() {
    mkdir -p "$1"
    {
        echo "FROM $BASE"
        seq -f 'RUN echo %.0f >>/lines' 1 20
    } >"$1/Containerfile"
}

# Two stages that wait for five seconds each and have nothing to do with each other.
context_sleeps() {
    mkdir -p "$1"
    cat >"$1/Containerfile" <<CONTAINERFILE
FROM $BASE AS one
RUN sleep 5 && echo one >/one

FROM $BASE AS two
RUN sleep 5 && echo two >/two

FROM $BASE
COPY --from=one /one /one
COPY --from=two /two /two
CONTAINERFILE
}

# What cargo-chef does: a planner writes down the dependencies, the builder makes them (two seconds, 20 MB), then the program.
context_chef() {
    mkdir -p "$1/src"
    printf 'serde 1.0\nregex 1.11\nclap 4.5\n' >"$1/dependencies"
    echo 'fn main() {}' >"$1/src/main.rs"
    cat >"$1/Containerfile" <<CONTAINERFILE
FROM $BASE AS chef
WORKDIR /app

FROM chef AS planner
COPY . .
RUN sort dependencies >recipe.json

FROM chef AS builder
COPY --from=planner /app/recipe.json recipe.json
RUN sleep 2; mkdir target; for d in \$(cut -d' ' -f1 recipe.json); do yes "\$d" | head -c 7000000 >"target/\$d"; done
COPY . .
RUN cat src/* | tr a-z A-Z >app

FROM $BASE
COPY --from=builder /app/app /usr/bin/app
CONTAINERFILE
}

# context_stages FOLDER N: N stages, in chains of ten, with a file each; the last takes a file of each chain.
context_stages() {
    mkdir -p "$1"
    local n base
    for ((n = 1; n < $2; n++)); do
        echo "stage $n" >"$1/f$n"
        base=s$((n - 1))
        [ $((n % 10)) != 1 ] || base=$BASE
        printf 'FROM %s AS s%d\nCOPY f%d /\n' "$base" "$n" "$n"
    done >"$1/Containerfile"
    {
        echo "FROM $BASE"
        for ((n = 10; n < $2; n += 10)); do
            echo "COPY --from=s$n /f$n /"
        done
        echo "COPY --from=s$(($2 - 1)) /f$(($2 - 1)) /"
    } >>"$1/Containerfile"
}
