# shellcheck shell=bash
# A container storage of one's own, for the demo, the tests and the benchmarks. Sourced, not run.
#
#   storage_open DIR      makes a storage and a state folder in DIR and exports what leads every engine there
#   storage_base NAME     commits a base image with the static busybox of this machine under NAME
#   storage_isolation     exports a BUILDAH_ISOLATION that works here, trying the default first
#   storage_close DIR     unmounts and removes all of it
#   built_in REPOSITORY   prints the folder that cargo builds the program into
#
# The user's own storage is never touched: storage_open fails when an engine would not use the new one.

built_in() { (cd "$1" && realpath -m "${CARGO_TARGET_DIR:-target}"); }

storage_open() {
    local folder=$1 driver tried
    mkdir -p "$folder/state" "$folder/tmp"
    for driver in ${STORAGE_DRIVER:-overlay vfs}; do
        printf '[storage]\ndriver = "%s"\ngraphroot = "%s"\nrunroot = "%s"\n' \
            "$driver" "$folder/root" "$folder/run" >"$folder/storage.conf"
        export CONTAINERS_STORAGE_CONF=$folder/storage.conf STAGECACHE_HOME=$folder/state
        # What the machine has on these points leads elsewhere.
        unset STORAGE_DRIVER STORAGE_OPTS CONTAINER_HOST
        if tried=$(buildah info 2>&1) && grep -qF "\"GraphRoot\": \"$folder/root\"" <<<"$tried"; then
            return
        fi
        _storage_remove "$folder/root" "$folder/run"
    done
    echo "storage: no storage driver works in $folder: $tried" >&2
    return 1
}

storage_base() {
    local name=$1 folder program
    folder=$(mktemp -d)
    program=$(command -v busybox) || {
        echo "storage: busybox is missing; run contrib/setup" >&2
        return 1
    }
    mkdir -p "$folder"/rootfs/{bin,etc,root,tmp,proc,sys,dev}
    chmod 1777 "$folder/rootfs/tmp"
    cp "$program" "$folder/rootfs/bin/busybox"
    "$program" --list | grep -vx busybox | while read -r applet; do
        ln -s busybox "$folder/rootfs/bin/$applet"
    done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$folder/rootfs/etc/passwd"
    echo 'root:x:0:' >"$folder/rootfs/etc/group"
    printf 'FROM scratch\nCOPY rootfs /\nENV PATH=/bin\nCMD ["/bin/sh"]\n' >"$folder/Containerfile"
    # One time for all: the image has the same id wherever it is made of the same busybox.
    buildah build --quiet --layers=false --timestamp 0 --tag "$name" "$folder" >/dev/null
    rm -rf "$folder"
}

# An OCI runtime may be missing, or refuse the cgroups of a container or a small VM: then chroot does.
storage_isolation() {
    [ -z "${BUILDAH_ISOLATION:-}" ] || return 0
    local folder image base=localhost/isolation-probe:latest tried
    storage_base "$base"
    folder=$(mktemp -d)
    printf 'FROM %s\nRUN true\n' "$base" >"$folder/Containerfile"
    for tried in "" chroot; do
        # Empty is the engine's own default.
        if image=$(BUILDAH_ISOLATION=$tried buildah build --quiet --pull=never --layers=false "$folder" 2>"$folder/why"); then
            buildah rmi "$image" "$base" >/dev/null
            rm -rf "$folder"
            if [ -n "$tried" ]; then
                export BUILDAH_ISOLATION=$tried
            fi
            return
        fi
    done
    echo "storage: RUN works neither with the default isolation nor with chroot: $(tail -n 3 "$folder/why")" >&2
    rm -rf "$folder"
    return 1
}

storage_close() {
    local folder=$1
    _storage_remove "$folder"
}

_storage_remove() {
    local path
    for path in "$@"; do
        [ -e "$path" ] || continue
        if [ "$(id -u)" = 0 ]; then
            # The driver may have bound its folder onto itself.
            awk -v under="$path/" 'index($5, under) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
                while read -r mounted; do umount -l "$mounted" || true; done
            rm -rf "$path"
        else
            buildah unshare rm -rf "$path"
        fi
    done
}
