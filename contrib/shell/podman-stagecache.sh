# shellcheck shell=sh
# `podman stagecache …` and `buildah stagecache …` at the prompt, for bash, zsh and POSIX shells: neither program has plugins.
#
# Global flags may stand before `stagecache`, as before any other command. Everything else goes to the program untouched. The
# completion scripts of podman and buildah ask the program with `__complete`; what is behind `stagecache` is answered here.
#
# Lives in /etc/profile.d, or is sourced in ~/.bashrc or ~/.zshrc.

# _stagecache PROGRAM ARGUMENT...
_stagecache() {
    # zsh: words and patterns as in sh, within this function.
    [ -z "${ZSH_VERSION:-}" ] || emulate -L sh
    case ${2:-} in
        __complete | __completeNoDesc)
            _stagecache_complete "$@"
            return
            ;;
    esac
    case " $* " in
        *' stagecache '*) ;;
        *)
            # The quick way out, taken by nearly every call.
            _stagecache_run "$@"
            return
            ;;
    esac
    # shellcheck disable=SC3043 # dash, busybox, bash, zsh and ksh93's clones all have it
    local program at left
    program=$1
    shift
    at=$(_stagecache_position "$@")
    left=$#
    if [ "$at" = 0 ] || [ "$(_stagecache_word "$at" "$@")" != stagecache ]; then
        _stagecache_run "$program" "$@"
        return
    fi
    # Turns the list once and leaves one word out.
    while [ "$left" -gt 0 ]; do
        at=$((at - 1))
        left=$((left - 1))
        [ "$at" = 0 ] || set -- "$@" "$1"
        shift
    done
    _stagecache_run podman-stagecache "--engine=$program" "$@"
}

# Runs a program and no function of its name. The shim in contrib/bin has it exec.
_stagecache_run() {
    ${_stagecache_with:-command} "$@"
}

# The position of the first word that is no global flag and no value of one; 0 when there is none.
_stagecache_position() {
    _stagecache_at=0 _stagecache_value=no
    for _stagecache_each in "$@"; do
        _stagecache_at=$((_stagecache_at + 1))
        if [ "$_stagecache_value" = yes ]; then
            _stagecache_value=no
            continue
        fi
        case $_stagecache_each in
            --) break ;;
            --*=*) ;;
            # Those of podman and buildah that take a value.
            -c | --cdi-spec-dir | --cgroup-manager | --config | --conmon | --connection | --cpu-profile | \
                --default-mounts-file | --events-backend | --hooks-dir | --host | --identity | --imagestore | \
                --log-level | --max-workers | --memory-profile | --module | --namespace | --network-cmd-path | \
                --network-config-dir | --cni-config-dir | --out | --registries-conf | --registries-conf-dir | \
                --root | --runroot | --runtime | --runtime-flag | --short-name-alias-conf | --ssh | --storage-driver | \
                --storage-opt | --tls-ca | --tls-cert | --tls-key | --tmpdir | --url | --userns-gid-map | \
                --userns-uid-map | --volumepath)
                _stagecache_value=yes
                ;;
            -*) ;;
            *)
                echo "$_stagecache_at"
                return
                ;;
        esac
    done
    echo 0
}

# _stagecache_word N WORD...: the Nth word.
_stagecache_word() {
    shift "$1"
    printf '%s' "$1"
}

# _stagecache_complete PROGRAM __complete WORD...: the last word is the one that is being typed. A candidate a line, with a tab
# before its description, and `:N` at the end, which tells the shell whether file names may be meant (4: no, 0: when there is
# nothing else).
_stagecache_complete() {
    # shellcheck disable=SC3043
    local program request at found
    program=$1 request=$2
    shift 2
    at=$(_stagecache_position "$@")
    if [ "$at" != 0 ] && [ "$at" = "$#" ]; then
        # shellcheck disable=SC2194 # the pattern is what varies
        case stagecache in
            "$(_stagecache_word "$at" "$@")"*)
                printf 'stagecache\tBuild with a cache, an image and a reason for each stage\n' |
                    _stagecache_described "$request"
                ;;
        esac
    elif [ "$at" != 0 ] && [ "$(_stagecache_word "$at" "$@")" = stagecache ]; then
        shift "$at"
        found=$(COMPLETE=fish command podman-stagecache -- podman-stagecache "$@" 2>/dev/null) || found=
        if [ -n "$found" ]; then
            printf '%s\n:4\n' "$found" | _stagecache_described "$request"
        else
            echo :0
        fi
        return
    fi
    _stagecache_run "$program" "$request" "$@"
}

_stagecache_described() {
    case $1 in
        __completeNoDesc) cut -f 1 ;;
        *) cat ;;
    esac
}

# An alias of the same name stays what it is.
alias podman >/dev/null 2>&1 || eval 'podman() { _stagecache podman "$@"; }'
alias buildah >/dev/null 2>&1 || eval 'buildah() { _stagecache buildah "$@"; }'
