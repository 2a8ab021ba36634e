# Builds a Python environment from the locked requirements on stdin. $1 its folder, whose name is the beginning of their
# SHA-256, $2 python, $3 uv or nothing.
# Console scripts hold absolute paths, so the environment is built where it stays and published by a symbolic link,
# which rename(2) replaces at once: $1 is complete or it is not there. flock(1) is held by whatever still builds.
set -u
umask 022
LC_ALL=C.UTF-8
export LC_ALL
folder=$1
python=$2
uv=$3
exec 2>&1
mkdir -p "$(dirname "$folder")" || exit 1
exec 9>"$folder.lock" || exit 1
if ! flock -n 9; then
    echo "another install builds the same environment: waiting for it"
    flock 9
fi
if [ -x "$folder/bin/python" ] && "$folder/bin/python" -c ''; then
    echo "built meanwhile"
    exit 0
fi
rm -rf "$folder".build-*
build=$(mktemp -d "$folder.build-XXXXXX") || exit 1
chmod 755 "$build"
cat >"$build/requirements.txt" || exit 1
case $(sha256sum <"$build/requirements.txt") in
"$(basename "$folder")"*) ;;
*) # half of them, or none, would make an environment that looks complete
    rm -rf "$build"
    echo "the connection ended before all requirements had come"
    exit 1
    ;;
esac

with_uv() {
    "$uv" venv --python "$python" "$build/venv" &&
        "$uv" pip install --python "$build/venv/bin/python" --require-hashes -r "$build/requirements.txt"
}

with_pip() {
    rm -rf "$build/venv"
    "$python" -m venv "$build/venv" &&
        "$build/venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
            --require-hashes -r "$build/requirements.txt"
}

built=
if [ -n "$uv" ]; then
    if with_uv; then built=yes; else echo "uv could not: trying pip"; fi
fi
if [ -z "$built" ] && ! with_pip; then
    rm -rf "$build"
    exit 1
fi
ln -s "$(basename "$build")/venv" "$build/link" && mv -T -f "$build/link" "$folder"
