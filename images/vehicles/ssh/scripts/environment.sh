# Builds a Python environment from the locked requirements on stdin. $1 its folder, whose name is the beginning of their
# SHA-256, $2 python, $3 uv or nothing.
# Console scripts hold absolute paths, so the environment is built where it stays and published by a symbolic link,
# which rename(2) replaces at once: $1 is complete or it is not there. flock(1) is held by whatever still builds.
# Ends with 28, which is ENOSPC, where it failed and its disk is full.
set -u
umask 022
LC_ALL=C.UTF-8
export LC_ALL
folder=$1
python=$2
uv=$3
build=
exec 2>&1

# Whether the disk below $1 is full. Tools hide the reason (ensurepip's is a traceback of its parent) and tidy up a
# little before they end, so it is the disk that is asked, and 16 MiB count as nothing. Some file systems have no
# number of files that they can hold: they tell 0.
is_full() {
    # shellcheck disable=SC2046 # four numbers
    set -- $(stat -f -c '%a %S %c %d' "$1")
    [ $# -eq 4 ] || return 1
    echo "$(($1 * $2 / 1024)) KiB are free on that disk, and room for $4 of $3 files"
    [ $(($1 * $2)) -lt 16777216 ] || { [ "$3" -gt 0 ] && [ "$4" -lt 16 ]; }
}

# Ends the script, with a look at the disk before the unfinished environment is removed.
fail() {
    place=$(dirname "$folder")
    [ -d "$place" ] || place=$(dirname "$place")
    status=1
    if is_full "$place"; then status=28; fi
    [ -z "$build" ] || rm -rf "$build"
    exit "$status"
}

mkdir -p "$(dirname "$folder")" || fail
true >>"$folder.lock" || fail # a failing exec would end the script at once
exec 9>"$folder.lock"
if ! flock -n 9; then
    echo "another install builds the same environment: waiting for it"
    flock 9
fi
if [ -x "$folder/bin/python" ] && "$folder/bin/python" -c ''; then
    echo "built meanwhile"
    exit 0
fi
rm -rf "$folder".build-*
build=$(mktemp -d "$folder.build-XXXXXX") || fail
chmod 755 "$build"
cat >"$build/requirements.txt" || fail
case $(sha256sum <"$build/requirements.txt") in
"$(basename "$folder")"*) ;;
*) # half of them, or none, would make an environment that looks complete
    rm -rf "$build"
    echo "the connection ended before all requirements had come"
    exit 1
    ;;
esac

# What the lock names and nothing else, whatever an index has today: no dependency is resolved (pip takes a younger
# version for `name[extra]` than the lock's, and then misses its hash), and nothing is built from source, for which the
# build tools of the day would come.
with_uv() {
    "$uv" venv --python "$python" "$build/venv" &&
        "$uv" pip install --python "$build/venv/bin/python" \
            --no-deps --only-binary :all: --require-hashes -r "$build/requirements.txt"
}

with_pip() {
    rm -rf "$build/venv"
    "$python" -m venv "$build/venv" &&
        "$build/venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
            --no-deps --only-binary :all: --require-hashes -r "$build/requirements.txt"
}

if [ -n "$uv" ] && ! with_uv; then
    echo "uv could not: trying pip"
    uv=
fi
[ -n "$uv" ] || with_pip || fail
if [ -n "$uv" ]; then
    "$uv" pip check --python "$build/venv/bin/python"
else
    "$build/venv/bin/python" -m pip check --disable-pip-version-check
fi || {
    echo "the locked requirements do not fit together: what is named above is missing in the lock, or another version"
    fail
}
ln -s "$(basename "$build")/venv" "$build/link" && mv -T -f "$build/link" "$folder" || fail
