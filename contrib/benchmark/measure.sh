# shellcheck shell=bash disable=SC2154 # `quick` and `runs` are those of contrib/bench.
# Storages, runs and figures for the benchmarks. Sourced by contrib/bench, with `storage.sh`.
#
# A side is who builds: stagecache, buildah, buildah-jobs (`--jobs 2`), podman, buildx. Each has a storage of its own, so that
# nobody's images stand in another's way.

# All storages, and the one that each side has now.
declare -a storages=()
declare -A storage_of=()

say() { echo "bench: $*" >&2; }

# measure_open FOLDER PROGRAM: finds out which sides there are, and makes the base image.
measure_open() {
    bench=$1 program=$2
    mkdir -p "$bench/contexts"
    : >"$bench/samples"
    export TMPDIR=$bench/tmp
    mkdir -p "$TMPDIR"
    # What would make one side another build than the others.
    unset BUILDAH_LAYERS BUILDAH_FORMAT CONTAINERS_CONF
    command -v buildah >/dev/null || die 'buildah is not installed: it is what is measured against'
    storage_open "$bench/base"
    storage_base "$BASE"
    storage_isolation
    buildah push --quiet "$BASE" "docker-archive:$bench/base.tar:$BASE" 2>/dev/null
    storage_close "$bench/base"
    sides=(stagecache buildah)
    ! command -v podman >/dev/null || sides+=(podman)
    if command -v docker >/dev/null && docker buildx version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
        sides+=(buildx)
        # The name may be in use there; it is given back at the end.
        docker image inspect --format '{{.Id}}' "$BASE" >"$bench/docker-base" 2>/dev/null || true
    fi
}

measure_close() {
    local storage
    for storage in "$bench/base" "${storages[@]}"; do
        storage_close "$storage"
    done
    if [ -e "$bench/docker-base" ]; then
        docker image ls --quiet localhost/bench | xargs --no-run-if-empty docker image rm --force >/dev/null
        # An empty line where there was none.
        local was
        was=$(cat "$bench/docker-base")
        [ -z "$was" ] || docker tag "$was" "$BASE"
    fi
}

# fresh SIDE: a storage with nothing but the base image. The one before stays until the end: an ext4 without a journal
# gives the inodes of deleted files to nobody for some minutes, and searches past them for each file that is made.
fresh() {
    if [ "$1" = buildx ]; then
        docker builder prune --all --force >/dev/null
        docker load --quiet --input "$bench/base.tar" >/dev/null
        return
    fi
    storages+=("$bench/storage-${#storages[@]}")
    storage_of[$1]=${storages[-1]}
    storage_open "${storage_of[$1]}"
    buildah pull --quiet "docker-archive:$bench/base.tar" >/dev/null
}

# on SIDE COMMAND [ARG...]: runs a command where its engine finds the side's storage.
on() {
    local -x CONTAINERS_STORAGE_CONF=${storage_of[$1]}/storage.conf STAGECACHE_HOME=${storage_of[$1]}/state
    "${@:2}"
}

# build SIDE CONTEXT: the build that is measured.
build() {
    case $1 in
        buildx) docker buildx build --builder default --load --tag "localhost/bench:${2##*/}" --file "$2/Containerfile" "$2" ;;
        *)
            local command
            command_of "$1"
            on "$1" "${command[@]}" --pull=never --tag "localhost/bench:${2##*/}" "$2"
            ;;
    esac
}

# command_of SIDE: sets `command` to what the side builds with.
command_of() {
    case $1 in
        stagecache) command=("$program" build --engine=buildah) ;;
        buildah) command=(buildah build --layers) ;;
        buildah-jobs) command=(buildah build --layers --jobs=2) ;;
        podman) command=(podman build --layers) ;;
    esac
}

# sample CASE SIDE COMMAND [ARG...]: runs it and keeps its time, and that of the processors.
sample() {
    local -r case=$1 side=$2
    local took TIMEFORMAT='%3R %3U %3S'
    took=$({ time "${@:3}" >"$bench/output" 2>&1; } 2>&1) || {
        if hiccup; then
            say "$case: $side could not start a command this time; not counted"
            "${@:3}" >"$bench/output" 2>&1 || true
            return
        fi
        tail -n 20 "$bench/output" >&2
        say "$case: $side failed"
        exit 1
    }
    read -r -a took <<<"$took"
    note "$case" "$side" seconds "${took[0]}"
    note "$case" "$side" cpu "$(awk "BEGIN { print ${took[1]} + ${took[2]} }")"
}

# hiccup: whether the last build failed because the engine could not seal the copy of itself that it runs in a container, as
# buildah 1.28 cannot where the kernel moves that memory just then.
hiccup() { grep -qF 'sealing memfd copy: Device or resource busy' "$bench/output"; }

# note CASE SIDE WHAT VALUE: keeps a figure.
note() {
    printf '%s\t%s\t%s\t%s\n' "$@" >>"$bench/samples"
}

# unseen SIDE CONTEXT: a build that is not measured.
unseen() {
    build "$@" >"$bench/output" 2>&1 || { hiccup && build "$@" >"$bench/output" 2>&1; } || {
        tail -n 20 "$bench/output" >&2
        say "$1 failed"
        exit 1
    }
}

# in_turn CASE RUNS CONTEXT CHANGE SIDE...: one build of each side in turn, so often. CHANGE is called before each turn
# with its number; it changes the context, or makes storages fresh.
in_turn() {
    local -r case=$1 count=$(count "$2") context=$3 change=$4
    local turn side
    for ((turn = 1; turn <= count; turn++)); do
        "$change" "$turn" "$context"
        for side in "${@:5}"; do
            sample "$case" "$side" build "$side" "$context"
        done
    done
}

# count RUNS: how often, after all that the command line says.
count() {
    if [ "$quick" = 1 ]; then echo 1; else echo "${runs:-$1}"; fi
}

# watched CASE CONTEXT: a build by stagecache, and the most memory that its own process had; its children do not count.
watched() {
    local peak=0 line child command
    command_of stagecache
    on stagecache exec "${command[@]}" --pull=never --tag "localhost/bench:${2##*/}" "$2" >"$bench/output" 2>&1 &
    child=$!
    # The kernel keeps the peak, so it is enough to look often.
    while line=$(grep -s VmHWM "/proc/$child/status"); do
        peak=$(tr -dc 0-9 <<<"$line")
        sleep 0.002
    done
    wait "$child" || say "$1: the build that is watched failed"
    note "$1" stagecache peak_kib "$peak"
}

# measure_data: all figures and the machine, as JSON.
measure_data() {
    local system=unknown
    # shellcheck source=/dev/null
    [ ! -r /etc/os-release ] || system=$(. /etc/os-release && echo "$PRETTY_NAME")
    jq --null-input --raw-input \
        --arg system "$system" --arg kernel "$(uname -r)" --arg cores "$(nproc)" \
        --arg processor "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" \
        --arg stagecache "$("$program" --version)" \
        --arg buildah "$(buildah --version | cut -d' ' -f3)" \
        --arg podman "$(podman --version 2>/dev/null | cut -d' ' -f3)" \
        --arg buildx "$(docker version --format '{{.Server.Version}}' 2>/dev/null)" \
        --arg isolation "${BUILDAH_ISOLATION:-default}" --arg quick "$quick" \
        --arg filesystem "$(stat --file-system --format=%T "$bench")" '
        {machine: {system: $system, kernel: $kernel, cores: ($cores | tonumber), processor: $processor,
                   stagecache: $stagecache, buildah: $buildah, podman: $podman, buildx: $buildx, isolation: $isolation, filesystem: $filesystem},
         quick: ($quick == "1"),
         samples: [inputs | split("\t") | {case: .[0], side: .[1], what: .[2], value: (.[3] | tonumber)}]}' \
        <"$bench/samples"
}
