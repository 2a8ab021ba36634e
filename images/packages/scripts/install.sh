# Installs packages in one transaction, as root, behind apt.sh. $1 patience with locks in seconds, $2 "off" (services of
# new packages do not start at boot) or "enabled" (as their package has it; nothing is started now either way), $3
# "--no-remove" or "--allow-downgrades" or nothing; the rest: NAME, NAME=VERSION or NAME>=VERSION.
# Says "installed NAME VERSION", tabs between, of what came or was changed.
begin "$1"
services=$2
leave=$3
shift 3

transaction() {
    apt "$@" ${leave:+"$leave"} install --no-install-recommends $names
}

# "NAME>=VERSION" asks for a candidate of that version; the names go to $names.
demands() {
    names=
    for demand; do
        name=${demand%%>=*}
        names="$names $name"
        [ "$name" != "$demand" ] || continue
        candidate=$(apt-cache policy "$name" | sed -n 's/^  Candidate: //p')
        case $candidate in
        '' | '(none)')
            [ -z "$index_problem" ] || problem network "$index_problem"
            problem package "E: Unable to locate package $name"
            ;;
        esac
        dpkg --compare-versions "$candidate" ge "${demand##*>=}" ||
            problem version "$name $candidate is what $system offers, and ${demand##*>=} or newer is needed"
    done
}

# Bytes of "After this operation, 12.3 MB of …": $1 is the beginning.
bytes() {
    said | sed -nE "s/^$1 ([0-9.]+) ([kMGT]?)B.*/\1 \2/p" |
        awk '{ printf "%.0f", $1 * 1000 ^ index("kMGT", $2 == "" ? "-" : $2) } END { if (!NR) printf 0 }'
}

# Nothing is begun that has no room. 64 MB stay for logs and for what maintainers' scripts make.
require_room() {
    transaction --print-uris -y # which only prints; --assume-no would install what has no dependencies
    ! said | grep -qE "$full" || problem space "$(words)"
    down=$(bytes 'Need to get') up=$(bytes 'After this operation,')
    archives=$(df -P -k /var/cache/apt/archives | awk 'END { print $1, $4 }')
    programs=$(df -P -k /usr | awk 'END { print $1, $4 }')
    if [ "${archives% *}" = "${programs% *}" ]; then
        up=$((up + down)) down=0
    fi
    for part in "/var/cache/apt ${archives##* } $down" "/usr ${programs##* } $up"; do
        # shellcheck disable=SC2086 # three words
        set -- $part
        [ "$3" -eq 0 ] || [ $(($2 * 1024)) -ge $(($3 + 64000000)) ] ||
            problem space "$(($3 / 1000000 + 64)) MB are needed where $1 lies, and $(($2 / 1024)) MiB are free; nothing was begun"
    done
}

at_end() {
    remove_policy
    services_off
}

install() {
    tell "installing $*"
    broken=
    : >>"$pending" || problem space "$pending cannot be written"
    put_policy
    mend
    update
    # What was killed while it was unpacked has to be unpacked anew.
    [ -z "$broken" ] || apt -y --no-remove --fix-broken install || echo 'not all of it: going on'
    demands "$@"
    transaction -s || judge
    came=$(said | sed -nE 's/^Inst ([^ ]+) (\[[^]]*\] )?\(([^ ]+) .*/\1\t\3/p')
    new=$(said | sed -nE 's/^Inst ([^ ]+) \([^ ]+ .*/\1/p')
    require_room
    if [ "$services" = off ] && [ -n "$new" ]; then
        printf '%s\n' "$new" >>"$pending" || problem space "$pending cannot be written"
    fi
    for pause in 3 9 0; do
        transaction -y && break
        [ "$pause" -ne 0 ] && said | grep -qE "$unreachable" && ! said | grep -qE "$full" || judge
        tell "packages cannot be fetched: again in $pause s"
        sleep "$pause"
        update
    done
    [ -z "$came" ] || printf '%s\n' "$came" | sed 's/^/installed\t/'
}

detached install "$@"
