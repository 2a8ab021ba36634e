# Shared by the scripts in this folder; sourced, never run.
# shellcheck shell=bash

say() { printf '==> %s\n' "$*"; }

die() {
    printf '\n%s failed: %s\n' "${program:-$(basename "$0")}" "$*" >&2
    exit 1
}

# version_at_least 1.25.11 1.26.8: whether the second is the first or newer. A pre-release counts as its release.
version_at_least() {
    [[ $(printf '%s\n%s\n' "$1" "${2%%[-+]*}" | sort -V | head -n 1) == "$1" ]]
}

# The program on PATH, or in the folders of system programs, which are not on every user's PATH.
find_program() {
    PATH=$PATH:/usr/sbin:/sbin command -v "$1"
}

# A line that says every so often that LABEL still runs: in place on a terminal, else every 15 seconds. It ends with
# the process that started it, however that ended.
tick() {
    local label=$1 parent=$2 seconds=0
    # The last sleep outlives it, and must not keep open what somebody reads to the end.
    while sleep 1 >/dev/null 2>&1 && kill -0 "$parent" 2>/dev/null; do
        seconds=$((seconds + 1))
        if [[ -t 1 ]]; then
            printf '\r    %s … %d s ' "$label" "$seconds"
        elif ((seconds % 15 == 0)); then
            printf '    %s … %d s\n' "$label" "$seconds"
        fi
    done
}

# with_progress LABEL COMMAND…: runs it with its output in a log, shows that it lives and how long it took; the end of
# the log if it fails, with the command's status.
with_progress() {
    local label=$1 log status=0 ticker started=$SECONDS
    shift
    log=$(mktemp)
    tick "$label" $$ 8>&- 9>&- & # without the locks, for the same reason
    ticker=$!
    "$@" >"$log" 2>&1 || status=$?
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    [[ ! -t 1 ]] || printf '\r\033[K'
    if ((status == 0)); then
        printf '    %s: %d s\n' "$label" $((SECONDS - started))
    else
        printf '    %s: failed after %d s. The end of its output:\n' "$label" $((SECONDS - started)) >&2
        tail -n 30 "$log" | sed 's/^/    | /' >&2
    fi
    rm -f "$log"
    return "$status"
}
