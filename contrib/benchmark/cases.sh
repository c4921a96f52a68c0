# shellcheck shell=bash disable=SC2034,SC2154 # The variables are those of contrib/bench and of measure.sh.
# The cases of the benchmarks. Sourced by contrib/bench.
#
# A case makes its context, and has it built by each side in turn. What is asked of the figures stands in `judge.jq`.

CASES=(nothing-changed last-stage cold chain sleeps chef files stages many-files)

nothing() { :; }

# The context of six stages, and each side's storage after a build of it.
six() {
    local side
    [ ! -e "$bench/contexts/six" ] || return 0
    context_six "$bench/contexts/six"
    for side in "${sides[@]}"; do
        fresh "$side"
        unseen "$side" "$bench/contexts/six"
    done
}

case_nothing_changed() {
    six
    in_turn nothing-changed 5 "$bench/contexts/six" nothing "${sides[@]}"
    bare_images
}

# How many images have the same layers as another, for each stage.
bare_images() {
    local index
    for index in "${storage_of[stagecache]}"/root/*-images/images.json; do
        note nothing-changed stagecache bare_images "$(jq '(length - (map(.layer) | unique | length)) / 6' "$index")"
    done
}

change_last_stage() { echo "turn $1" >>"$2/etc/one"; }

case_last_stage() {
    six
    in_turn last-stage 5 "$bench/contexts/six" change_last_stage "${sides[@]}"
}

fresh_all() {
    local side
    for side in "${sides[@]}" buildah-jobs; do
        fresh "$side"
    done
}

case_cold() {
    [ -e "$bench/contexts/six" ] || context_six "$bench/contexts/six"
    in_turn cold 5 "$bench/contexts/six" fresh_all "${sides[@]}" buildah-jobs
}

case_chain() {
    context_chain "$bench/contexts/chain"
    in_turn chain 3 "$bench/contexts/chain" fresh_all stagecache buildah
}

case_sleeps() {
    context_sleeps "$bench/contexts/sleeps"
    in_turn sleeps 1 "$bench/contexts/sleeps" fresh_all "${sides[@]}" buildah-jobs
}

change_source() { echo "fn turn_$1() {}" >>"$2/src/main.rs"; }

case_chef() {
    local side
    fresh_all
    context_chef "$bench/contexts/chef"
    for side in "${sides[@]}"; do
        unseen "$side" "$bench/contexts/chef"
    done
    in_turn chef 3 "$bench/contexts/chef" change_source "${sides[@]}"
}

change_one_file() { echo "turn $1" >>"$2/src/d100/f050"; }

find_files() { find "$1/src" -printf '%s %T@\n'; }

# 20,000 files, 205 MB: nothing changed, one of them changed, and the memory that it takes.
case_files() {
    local -r context=$bench/contexts/files
    local turn
    context_files "$context" 200 100 10250
    fresh_all
    watched files "$context"
    unseen buildah "$context"
    in_turn files 3 "$context" nothing stagecache buildah
    for ((turn = 1; turn <= $(count 7); turn++)); do
        sample files find find_files "$context"
        sample files stagecache build stagecache "$context"
    done
    watched files "$context"
    in_turn one-file 3 "$context" change_one_file stagecache buildah
}

# 200 stages: all of them new, and nothing changed, in a storage that then holds many images.
case_stages() {
    local turn
    fresh_all
    context_six "$bench/contexts/few"
    context_stages "$bench/contexts/stages" 200
    unseen stagecache "$bench/contexts/few"
    for ((turn = 1; turn <= $(count 7); turn++)); do
        sample few-images stagecache build stagecache "$bench/contexts/few"
    done
    if [ "$quick" = 1 ]; then
        in_turn stages-cold 1 "$bench/contexts/stages" nothing stagecache
    else
        in_turn stages-cold 1 "$bench/contexts/stages" nothing stagecache buildah
        sample stages buildah build buildah "$bench/contexts/stages"
    fi
    for ((turn = 1; turn <= $(count 7); turn++)); do
        sample stages stagecache build stagecache "$bench/contexts/stages"
        sample many-images stagecache build stagecache "$bench/contexts/few"
        sample many-images listing on stagecache buildah images --all --json
    done
    note many-images stagecache images "$(jq length "${storage_of[stagecache]}"/root/*-images/images.json)"
}

# 200,000 files: what grows with a tree.
case_many_files() {
    local -r context=$bench/contexts/many
    local turn
    context_files "$context" 1000 200 100
    fresh_all
    watched many-files "$context"
    for ((turn = 1; turn <= $(count 5); turn++)); do
        sample many-files find find_files "$context"
        sample many-files stagecache build stagecache "$context"
    done
    watched many-files "$context"
}
