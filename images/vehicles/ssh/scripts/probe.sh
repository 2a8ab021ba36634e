# Tells what stands on the machine, changes nothing; behind python.sh. $1 root, $2 cache, $3 supervision, $4 supervisor's environment.
# Reads lines "program NAME", "version NAME", "environment FOLDER", "file PATH", "unit NAME"; answers lines of words between tabs.
root=$1
cache=$2
files=
environments_missing=

answer() {
    printf '%s' "$1"
    shift
    printf '\t%s' "$@"
    printf '\n'
}

free_bytes() {
    folder=$1
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    df --output=avail -B1 "$folder" | tail -n 1 | tr -d ' '
}

look_for_python() {
    if found=$(python_with 'venv, ensurepip'); then
        answer python "$(command -v "$found")"
    elif python_with sys >/dev/null; then
        answer python_problem venv
    elif command -v python3 >/dev/null 2>&1; then
        answer python_problem old
    else
        answer python_problem none
    fi
}

while read -r kind value; do
    case $kind in
    program) answer program "$value" "$(command -v "$value" 2>/dev/null)" ;;
    version) answer version "$value" "$("$value" -v 2>/dev/null | sed -nE '1s/.* version ([0-9][^ ]*).*/\1/p')" ;;
    environment)
        if [ -x "$value/bin/python" ] && "$value/bin/python" -c '' 2>/dev/null; then
            answer environment "$value" there
        else
            environments_missing=yes
        fi
        ;;
    unit)
        state=$(systemctl is-active "$value" 2>/dev/null)
        # Between two tries of a service that ends again and again.
        [ "$(systemctl show --property SubState --value "$value" 2>/dev/null)" != auto-restart ] || state=auto-restart
        answer service "$value" "$state"
        ;;
    file) files="$files$value
" ;;
    esac
done

# A machine of `local` is a folder of a computer: see its client.py.
[ -z "${CROSSOVER_MACHINE:-}" ] || answer shared yes
if command -v apt-get >/dev/null 2>&1; then
    answer apt there
    # Of images/packages/scripts/apt.sh: what a run of it removes at its end.
    [ ! -e /var/lib/crossover-packages/pending ] || answer packages pending
fi

answer free "$(free_bytes "$root")" "$(free_bytes "$cache")"
if [ -n "$environments_missing" ]; then
    look_for_python
    for uv in "$(command -v uv 2>/dev/null)" "$cache/bin/uv"; do
        if [ -n "$uv" ] && [ -x "$uv" ]; then
            answer uv "$uv"
            break
        fi
    done
fi

[ -d "$root" ] && cd "$root" || exit 0
if [ -n "$files" ]; then
    printf '%s' "$files" | xargs -d '\n' stat -c 'mode	%n	%a' 2>/dev/null
    printf '%s' "$files" | xargs -d '\n' sha256sum 2>/dev/null | sed 's/^\([0-9a-f]*\)  \(.*\)$/sha256	\2	\1/'
fi
[ -f state/manifest.json ] && answer manifest "$(base64 -w 0 state/manifest.json)"
for mark in state/pending/*; do
    [ -f "$mark" ] && answer pending "$(basename "$mark")" "$(cat "$mark")"
done
if [ "$3" = supervisor ] && [ -x "$4/bin/supervisorctl" ] && [ -f supervisor/supervisord.conf ]; then
    states=$("$4/bin/supervisorctl" -c supervisor/supervisord.conf status 2>/dev/null)
    if [ $? -ne 4 ]; then # 4: nobody listens on the socket
        answer supervisord running
        printf '%s\n' "$states" | while read -r name state rest; do
            [ -n "$state" ] && answer service "$name" "$state"
        done
    fi
fi
exit 0
