# Takes back what share.sh has given: the keys of the run $1.
set -eu
umask 077
file=${CROSSOVER_MACHINE:+$CROSSOVER_MACHINE/authorized_keys}
file=${file:-$HOME/.ssh/authorized_keys}
exec 9>"$file.lock" # keys.sh, share.sh and unshare.sh write it anew: one at a time
flock 9
grep -v " crossover-weights-$1\$" "$file" >"$file.weights" || [ $? -eq 1 ]
mv -f "$file.weights" "$file"
