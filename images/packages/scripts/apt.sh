# Functions of apt, for scripts that run as root: see install.sh and upgrades.sh. They begin with `begin`.
# What goes wrong is a line "problem KIND DETAIL", tabs between, and ends the script.
set -u
umask 022
# needrestart, a hook of Ubuntu's apt, would restart services on its own: ours, and those of strangers.
LC_ALL=C DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none NEEDRESTART_SUSPEND=1
export LC_ALL DEBIAN_FRONTEND APT_LISTCHANGES_FRONTEND NEEDRESTART_SUSPEND

run=/run/crossover-packages
pending=/var/lib/crossover-packages/pending # new packages whose services are still to be kept from the next boot
policy=/usr/sbin/policy-rc.d
saved=$policy.before-crossover
mark='# Crossover installs packages and starts none of their services; remove this file if nothing is being installed'
# As apt and dpkg word them in the C locale.
locked='Could not get lock|Unable to acquire the dpkg frontend lock|Unable to lock |was locked by another process'
unreachable='Failed to fetch|Temporary failure resolving|Could not resolve|Could not connect|Unable to connect|Network is unreachable|Connection (failed|timed out|refused|reset)|does not have a Release file'
full="No space left on device|Disk quota exceeded|have enough free space|write \(28:"
index_problem=

# For whoever waits; all else is apt's own words, of which a few are shown.
tell() { printf 'tell\t%s\n' "$*"; }

problem() {
    printf 'problem\t%s\t%s\n' "$1" "$(printf '%s' "$2" | tr '\n\t' '  ')"
    exit 1
}

# $1: for how many seconds others may hold apt's locks.
begin() {
    patience_ends=$(($(date +%s) + $1))
    # shellcheck disable=SC1091
    system=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${VERSION_ID:-}")
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || problem apt "${system:-an unknown system}"
    case $system in
    'debian 12' | 'ubuntu 22.04' | 'ubuntu 24.04') ;;
    *) tell "packages were never tried on $system: going by their names on Debian" ;;
    esac
    mkdir -p "$run" "$(dirname "$pending")" || problem space "$run and $(dirname "$pending") cannot be made"
    log=$run/log.$$
    : >"$log"
}

# Runs $1, a function, and `at_end`, as what a lost connection does not stop: an apt killed in the middle leaves half a
# package. One runs at a time. What it says goes to a file, and from there to whoever still listens.
detached() {
    (
        trap '' HUP
        trap at_end EXIT
        trap 'exit 143' INT TERM
        exec 9>"$run/lock"
        flock -n 9 || { tell 'another install of packages is under way: waiting for it' && flock 9; }
        "$@"
    ) >>"$log" 2>&1 </dev/null &
    worker=$!
    tail -n +1 -s 0.2 -f --pid="$worker" "$log" 2>/dev/null
    wait "$worker"
    status=$?
    rm -f "$log"
    return "$status"
}

# What the last command of `patiently` said.
said() { tail -c "+$((from + 1))" "$log"; }

# Runs a command of apt or dpkg, again and again while another process holds a lock that it needs.
patiently() {
    told=
    while :; do
        from=$(wc -c <"$log")
        "$@" </dev/null 9>&-
        status=$?
        [ "$status" -ne 0 ] && said | grep -qE "$locked" || return "$status"
        pid=$(said | sed -nE 's/.*(held by process|process with pid) ([0-9]+).*/\2/p' | head -n 1)
        holder="$(cat "/proc/${pid:-none}/comm" 2>/dev/null || echo 'a program that has ended since') (pid ${pid:-unknown})"
        [ "$(date +%s)" -lt "$patience_ends" ] || problem locks "$holder"
        [ "$told" = "$holder" ] || tell "waiting for apt's locks: $holder holds them"
        told=$holder
        sleep 2
    done
}

apt() {
    patiently apt-get -q -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        -o Acquire::Retries=1 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 "$@"
}

# Renews the index. One that cannot be reached is remembered in $index_problem and no error yet: a stranger's
# repository may be gone, and an older index may be good enough.
update() {
    for pause in 3 9 0; do
        apt -o APT::Update::Error-Mode=any update && index_problem= && return
        ! said | grep -qE "$full" || problem space "$(words)"
        index_problem=$(said | grep -E "$unreachable" | head -n 1)
        [ -n "$index_problem" ] || return 0
        [ "$pause" -eq 0 ] || { tell "the index of packages does not answer: again in $pause s" && sleep "$pause"; }
    done
}

# The last errors that the last command said.
words() { said | grep -E '^(E|dpkg): |^ (cannot|unable|failed|.* (Depends|Conflicts):) ' | tail -n 4; }

# Ends with the problem that the last command had.
judge() {
    if said | grep -qE "$full"; then
        problem space "$(words)"
    elif said | grep -qE 'Unable to locate package|no installation candidate|Version .* was not found'; then
        [ -z "$index_problem" ] || problem network "$index_problem"
        problem package "$(words)"
    elif said | grep -qE "$unreachable"; then
        problem network "$(said | grep -E "$unreachable" | tail -n 1)"
    elif said | grep -qE 'unmet dependencies|held broken packages|remove is disabled|held packages were changed'; then
        problem conflict "$(words)"
    fi
    problem failed "$(words)"
}

# --- services stay off: invoke-rc.d asks policy-rc.d, and 101 is "forbidden" ------------------------------------------

remove_policy() {
    ! grep -qsF "$mark" "$policy" || rm -f "$policy"
    [ ! -e "$saved" ] || mv -f "$saved" "$policy"
}

put_policy() {
    remove_policy # of a run that was killed
    [ ! -e "$policy" ] || mv "$policy" "$saved"
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy.new" && chmod 755 "$policy.new" &&
        mv "$policy.new" "$policy" || problem space "$policy cannot be written"
}

# What is done at the end of a detached run, however it ends; a script may have its own.
at_end() { remove_policy; }

# Units of the pending packages do not start at the next boot. What was there before is no pending package. Only a run
# that was killed leaves the file of them, by which probe.sh sees it.
services_off() {
    [ -f "$pending" ] || return 0
    # shellcheck disable=SC2046 # names of packages
    units=$(for package in $(sort -u "$pending"); do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ] || dpkg -L "$package"
    done | sed -nE 's,^(/usr)?/lib/systemd/system/([^@/]*\.(service|socket|timer|path))$,\2,p' | sort -u)
    if [ -n "$units" ] && command -v systemctl >/dev/null; then
        # shellcheck disable=SC2086 # names of units
        systemctl --quiet disable $units
        # Of a run that was killed, and a boot since.
        # shellcheck disable=SC2086
        [ ! -d /run/systemd/system ] || systemctl --quiet stop $units
    fi
    rm -f "$pending"
}

# An interrupted dpkg is finished first: apt refuses to begin before.
mend() {
    [ -n "$(ls -A /var/lib/dpkg/updates)$(dpkg --audit)" ] || return 0
    tell 'finishing what an interrupted dpkg left'
    patiently dpkg --force-confdef --force-confold --configure -a || echo 'not all of it: going on'
    broken=yes
}
