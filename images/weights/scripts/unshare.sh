# Takes back what share.sh has given: the keys of the run $1.
set -eu
umask 077
file=${CROSSOVER_MACHINE:+$CROSSOVER_MACHINE/authorized_keys}
file=${file:-$HOME/.ssh/authorized_keys}
grep -v " crossover-weights-$1\$" "$file" >"$file.weights" || [ $? -eq 1 ]
mv -f "$file.weights" "$file"
