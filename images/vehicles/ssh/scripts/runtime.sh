# Tells what Python program the machine has. $1 "environment", "image" or "machine", $2 its distribution, $3 what starts
# it: a path, or a name on the PATH (of process 1, for an image). Answers lines of words between tabs.
if [ "$1" = image ]; then
    PATH=$(tr '\0' '\n' 2>/dev/null </proc/1/environ | sed -n 's/^PATH=//p'):$PATH
fi
program=$(command -v "$3") || exit 0
printf 'program\t%s\n' "$program"
# Its package says its version in a tenth of a second; the program itself would first load all that it needs.
for python in "$(sed -n '1s/^#! *\([^ ]*python[0-9.]*\).*/\1/p' "$program" 2>/dev/null)" "$(dirname "$program")/python"; do
    [ -x "$python" ] || continue
    printf 'interpreter\t%s\n' "$python"
    "$python" -I -c '
import platform, sys
from importlib.metadata import version
print("version", version(sys.argv[1]), sep="\t")
print("python", platform.python_version(), sep="\t")
' "$2" 2>/dev/null && found=yes && break
done
if [ -z "${found:-}" ]; then
    printf 'version\t%s\n' "$(timeout -k 5 120 "$program" --version 2>/dev/null | tail -n 1)"
fi
printf 'shared_memory\t%s\n' "$(df --output=size -B1 /dev/shm 2>/dev/null | tail -n 1 | tr -d ' ')"
exit 0
