# Builds a Python environment from the locked requirements on stdin. $1 its folder, whose name is the beginning of their
# SHA-256, $2 python, $3 uv or nothing, $4 bytes that it takes on the disk, where that is worth asking for.
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
needed=${4:-0}
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

# Whether there is room for what still has to come; downloads of a build that was cut are there already.
has_room() {
    free=$(df --output=avail -B1 "$downloads" | tail -n 1 | tr -d ' ')
    there=$(du -s -B1 "$downloads" | cut -f 1)
    [ $((free + there)) -lt "$needed" ] || return 0
    echo "$((needed / 1000000)) MB are needed where $folder lies, and $(((free + there) / 1000000)) MB are free." \
        "Nothing was downloaded"
    return 1
}

# Tells how much has come, every quarter of a minute, as long as this script lives.
progress() {
    while sleep 15 >/dev/null 2>&1 && kill -0 "$$" 2>/dev/null; do
        echo "$(($(du -s -B1 "$downloads" 2>/dev/null | cut -f 1) / 1000000)) of about $((needed / 1000000)) MB are there"
    done
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
if [ "$needed" -gt 0 ]; then
    # Gigabytes have a cache of their own, on the same disk: a build that was cut goes on where it was, what is in the
    # environment is no second copy (uv makes hard links), and it goes when all is done.
    downloads=$folder.downloads
    mkdir -p "$downloads" || fail
    has_room || exit 28
    UV_CACHE_DIR=$downloads
    PIP_CACHE_DIR=$downloads
    export UV_CACHE_DIR PIP_CACHE_DIR
    unset PIP_NO_CACHE_DIR UV_NO_CACHE
    progress 9>&- &
    trap 'kill "$!" 2>/dev/null' EXIT
fi
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
    compile=--compile-bytecode # as pip does: who runs it may write nothing there. Of gigabytes it would take minutes
    [ "$needed" -eq 0 ] || compile=
    "$uv" venv --python "$python" "$build/venv" &&
        "$uv" pip install --python "$build/venv/bin/python" \
            $compile --no-deps --only-binary :all: --require-hashes -r "$build/requirements.txt"
}

with_pip() {
    rm -rf "$build/venv"
    "$python" -m venv "$build/venv" &&
        "$build/venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
            --no-deps --only-binary :all: --require-hashes -r "$build/requirements.txt"
}

if [ -n "$uv" ] && ! with_uv; then
    # pip would download all of it again, and ask the same index.
    [ "$needed" -eq 0 ] || fail
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
[ "$needed" -eq 0 ] || rm -rf "$downloads"
ln -s "$(basename "$build")/venv" "$build/link" && mv -T -f "$build/link" "$folder" || fail
