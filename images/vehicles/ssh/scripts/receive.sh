# Takes a tar on stdin and puts its files below the root ($1). All of them are on disk, whole, before the first is
# moved to its place by rename(2): a full disk or a broken connection leaves every file as it was.
set -eu
umask 022
LC_ALL=C
export LC_ALL
root=$1
incoming=$root/state/incoming
mkdir -p "$root/state"
rm -rf "$incoming"
mkdir -m 700 "$incoming"
trap 'rm -rf "$incoming"' EXIT
tar -x -p --no-same-owner -f - -C "$incoming"
cd "$incoming"
if [ ! -f .complete ]; then # tar takes an archive that was cut between two files for a whole one
    echo "the connection ended before all files had come" >&2
    exit 1
fi
rm .complete
find . -mindepth 1 -type d | while IFS= read -r folder; do mkdir -p "$root/$folder"; done
place() {
    find "$@" -type f | while IFS= read -r file; do mv -f "$file" "$root/$file"; done
}
# The marks that say which services must be restarted come first: whoever is interrupted here knows it afterwards.
if [ -d state/pending ]; then place ./state/pending; fi
place .
