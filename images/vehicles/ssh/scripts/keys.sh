# Changes who may log in: adds the public key in line 1 of stdin, drops the one in line 2 (either may be empty).
# A machine of `local` tells in CROSSOVER_MACHINE where it keeps its file; everywhere else it is the user's own.
set -eu
umask 077
file=${CROSSOVER_MACHINE:+$CROSSOVER_MACHINE/authorized_keys}
file=${file:-$HOME/.ssh/authorized_keys}
IFS= read -r added
IFS= read -r dropped
blob() { # the key itself: the second word of its line
    set -- $1
    printf '%s' "${2:-}"
}
added_blob=$(blob "$added")
dropped_blob=$(blob "$dropped")
exec 9>"$file.lock" # keys.sh, share.sh and unshare.sh write it anew: one at a time
flock 9
touch "$file"
{
    while IFS= read -r line || [ -n "$line" ]; do
        for key in $added_blob $dropped_blob; do
            case " $line " in *" $key "*) continue 2 ;; esac
        done
        printf '%s\n' "$line"
    done <"$file"
    if [ -n "$added" ]; then printf '%s\n' "$added"; fi
} >"$file.new"
mv -f "$file.new" "$file"
