# Runs a program of ours by the machine's Python; behind python.sh. $1 the file in which it lies meanwhile, $2 its bytes, $3 what it is for;
# stdin: the program, then its job.
set -eu
umask 022
mkdir -p "$(dirname "$1")"
program=${1%.*}.$$.${1##*.}
trap 'rm -f "$program"' EXIT
head -c "$2" >"$program"
if python=$(python_with sys); then
    "$python" "$program" && status=0 || status=$?
    exit "$status"
fi
echo "no Python 3.11 or newer is there, by which $3 (Debian package python3)" >&2
exit 127
