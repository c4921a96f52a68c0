#!/usr/bin/env bash
# Builds a C program with the compiler of a real distribution, ships it without the compiler, and builds it again.
#
# The distribution is this machine's own (Debian or Ubuntu; elsewhere Debian bookworm), from this machine's own mirror. Its base
# system is kept in ${XDG_CACHE_HOME:-~/.cache}/podman-stagecache/real; the packages are fetched by the build itself.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
# shellcheck source=contrib/storage.sh
. "$repository/contrib/storage.sh"
PATH=$(built_in "$repository")/debug:$PATH

distribution=docker.io/library/debian:slim
passed=0 failed=0

say() { printf '%5d s  %s\n' "$SECONDS" "$*"; }

# is WHAT EXPECTED FOUND
is() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        say "ok: $1"
    else
        failed=$((failed + 1))
        say "FAILED: $1"
        diff -u --label expected --label found <(printf '%s\n' "$2") <(printf '%s\n' "$3") || true
    fi
}

# base_system FILE: a tar of the smallest system that can install packages.
base_system() {
    local file=$1 suite=bookworm mirror='' tree root=()
    # shellcheck disable=SC1091
    . /etc/os-release
    case $ID in
        debian | ubuntu)
            suite=$VERSION_CODENAME
            # shellcheck disable=SC2016 # these are apt's
            mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
                awk -v suite="$suite" '$2 == suite { print $1; exit }')
            ;;
    esac
    say "fetching the base system of $suite"
    [ "$(id -u)" = 0 ] || root=(sudo)
    tree=$(mktemp -d "${TMPDIR:-/tmp}/stagecache-real-base-XXXXXX")
    "${root[@]}" debootstrap --variant=minbase "$suite" "$tree" ${mirror:+"$mirror"} >"$file.log" 2>&1 || {
        tail "$file.log" >&2
        "${root[@]}" rm -rf "$tree"
        return 1
    }
    # What this machine's apt needs to reach its mirror (a proxy, clocks that are off) is needed in there too.
    "${root[@]}" cp -r /etc/apt/apt.conf.d "$tree/etc/apt/" 2>/dev/null || true
    "${root[@]}" rm -f "$tree"/etc/apt/apt.conf.d/*{packagekit,appstream}*
    "${root[@]}" rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
    "${root[@]}" tar --numeric-owner --one-file-system -C "$tree" --exclude=./dev --exclude=./proc --exclude=./sys -cf "$file.new" .
    "${root[@]}" rm -rf "$tree" "$file.log"
    mv "$file.new" "$file"
}

cache=${XDG_CACHE_HOME:-$HOME/.cache}/podman-stagecache/real
mkdir -p "$cache"
system=$cache/$(. /etc/os-release && echo "$ID-${VERSION_CODENAME:-bookworm}")-$(uname -m).tar
[ -s "$system" ] || base_system "$system"

folder=$(mktemp -d "${TMPDIR:-/tmp}/stagecache-real-XXXXXX")
trap 'cd / && storage_close "$folder"' EXIT
storage_open "$folder"
storage_isolation

say "committing the base image"
mkdir "$folder/base"
ln "$system" "$folder/base/base.tar" 2>/dev/null || cp "$system" "$folder/base/base.tar"
printf 'FROM scratch\nADD base.tar /\nCMD ["bash"]\n' >"$folder/base/Containerfile"
buildah build --quiet --layers=false --tag "$distribution" "$folder/base" >/dev/null
rm -rf "$folder/base"

cp -r "$here/project" "$folder/calc"
cd "$folder/calc"

# built NAME FLAG...: builds under that name and keeps the record.
built() {
    local name=$1
    shift
    say "building $name"
    podman-stagecache build --pull=never --keep-stages=5 --build-arg "DISTRIBUTION=$distribution" --metadata-file "$folder/$name.json" \
        --iidfile "$folder/$name.id" --tag "calc:$name" "$@" . >"$folder/$name.log" 2>&1 || {
        tail -n 40 "$folder/$name.log" >&2
        exit 1
    }
}
# ran NAME: the steps that were not cached, a line each.
ran() {
    jq -r '.stages[] | .name as $stage | .steps[] | select(.verdict.verdict != "hit")
        | "\($stage): \(.instruction | split("\n") | last | gsub("\\s+"; " ") | .[0:60])"' "$folder/$1.json"
}
# inside NAME COMMAND...: runs it in the image of that name.
inside() {
    local container
    container=$(buildah from --pull-never "localhost/calc:$1")
    shift
    buildah run "$container" -- "$@" || true
    buildah rm "$container" >/dev/null
}
stages() { jq -r '.stages[] | "\(.name) \(.status)"' "$folder/$1.json"; }

built first
is "every stage is built" $'toolchain built\nbuild built\ntest built\nfinal built' "$(stages first)"
is "the program works in the final image" 0.25 "$(inside first calc '(2 - 1.5) / 2')"
is "the image holds the program and no compiler" "/usr/local/bin/calc" \
    "$(inside first sh -c 'command -v calc gcc cc make')"
is "the build stage's image has the compiler, and is found by its label" 1 \
    "$(buildah images --quiet --filter label=io.buildah.stage.name=build | wc -l)"

built again
is "the same again runs nothing" "" "$(ran again)"
is "and is the same image" "$(cat "$folder/first.id")" "$(cat "$folder/again.id")"

find . -exec touch {} +
built touched
is "new times alone run nothing" "" "$(ran touched)"

sed -i 's/usage: calc EXPRESSION/usage: calc EXPRESSION, such as 1+1/' calc.c
built changed
is "a change in the source compiles, tests and copies again, and installs nothing" \
    $'build: COPY *.h *.c ./\nbuild: RUN make CFLAGS="$CFLAGS"\ntest: RUN make check\nfinal: COPY --from=test /src/calc /usr/local/bin/calc\nfinal: RUN calc' \
    "$(ran changed | sed 's/RUN calc.*/RUN calc/')"
is "the changed program works" 500 "$(inside changed calc '2 ^ 3 ^ 2 - (1 + 2) * 4')"

sed -i '1i /* A comment. */' calc.c
built comment
is "a comment compiles again, to the same program: the final stage stays" \
    $'build: COPY *.h *.c ./\nbuild: RUN make CFLAGS="$CFLAGS"\ntest: RUN make check' "$(ran comment)"

built argument --build-arg CFLAGS=-Os
# shellcheck disable=SC2016 # make's
is "a build argument reaches the step that uses it, and no earlier one" 'build: RUN make CFLAGS="$CFLAGS"' \
    "$(ran argument | head -n 1)"

cp "$here"/project/*.c .
built back
is "what was built before is still there" "" "$(ran back)"

built podman --engine podman
is "podman uses what buildah has built" "" "$(ran podman)"

sed -i 's/= 7$/= 8/' Makefile
if podman-stagecache build --pull=never --build-arg "DISTRIBUTION=$distribution" . >"$folder/broken.log" 2>&1; then code=0; else code=$?; fi
is "a test that fails ends the build with make's exit code" 2 "$code"

say "done"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
