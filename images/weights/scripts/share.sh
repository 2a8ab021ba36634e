# Lets whoever has one key copy one folder of this machine, until the day after at the latest, and says what is in it.
# Parts and drafts of files are left out, where it is still being filled. $1 folder, $2 marker, $3 name of this run; stdin: the public key. Keys of other runs, which were ended, go.
set -eu
umask 077
file=${CROSSOVER_MACHINE:+$CROSSOVER_MACHINE/authorized_keys}
file=${file:-$HOME/.ssh/authorized_keys}
IFS= read -r key
until=$(date -d '+1 day' +%Y%m%d%H%M)
exec 9>"$file.lock" # keys.sh, share.sh and unshare.sh write it anew: one at a time
flock 9
touch "$file"
{
    grep -v ' crossover-weights-' "$file" || [ $? -eq 1 ] # 2: half of the keys would be lost
    printf '%s\n' "restrict,expiry-time=\"$until\",command=\"tar -C '$1' --exclude='.*.part' --exclude='.*.link' --anchored --no-wildcards -X - -cf - .\" $key crossover-weights-$3"
} >"$file.weights"
mv -f "$file.weights" "$file"
cat "$2"
