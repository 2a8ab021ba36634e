# Copies the files of a folder from another machine of the fleet. $1 root, $2 where they go, $3 user, $4 address, $5 port,
# $6 its host key, $7 bytes to be kept free; stdin: the private key, then lines "now SIZE PATH" of the files that are to be
# copied, and "later SIZE PATH" of all others, for which there must be room, too. What is here in its full size is not
# copied again. Tells "copied BYTES" meanwhile.
set -u
LC_ALL=C
export LC_ALL
umask 077
command -v ssh >/dev/null 2>&1 || {
    echo "there is no ssh here (Debian package openssh-client)"
    exit 127
}
mkdir -p "$1/state" "$2" || exit 1
for old in "$1"/state/copy.*; do # a copy that was killed outright could not take its key away
    owner=${old##*/copy.}
    kill -0 "${owner%%.*}" 2>/dev/null || rm -f "$old"
done
key=$1/state/copy.$$
teller=
copier=
trap '[ -z "$teller" ] || kill $teller $copier 2>/dev/null; rm -f "$key" "$key.hosts" "$key.left_out" "$key.now" "$key.status"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
: >"$key" && : >"$key.left_out" && : >"$key.now"
while IFS= read -r line; do
    printf '%s\n' "$line" >>"$key"
    case $line in -----END*) break ;; esac
done
printf 'holder %s\n' "$6" >"$key.hosts"
umask 022
cd "$2" || exit 1
# tar follows a link that an earlier copy has left, and would write wherever the other machine says.
find . ! -type d ! -type f -delete || exit 1
missing=0
while read -r when size path; do
    there=$(stat -c %s "$path" 2>/dev/null)
    [ "$there" = "$size" ] || missing=$((missing + size))
    [ "$when" = later ] || printf '%s %s\n' "$size" "$path" >>"$key.now"
    if [ "$there" = "$size" ] || [ "$when" = later ]; then
        printf './%s\n' "$path" >>"$key.left_out"
    fi
done
free=$(df --output=avail -B1 . | tail -n 1 | tr -d ' ')
if [ "$free" -lt $((missing + $7)) ]; then
    echo "$((free >> 20)) MiB are free in $2, and $((missing >> 20)) MiB are missing there, with $(($7 >> 20)) MiB to be kept free"
    exit 28
fi
(while sleep 2; do echo "copied $(du -sb . | cut -f 1)"; done) &
teller=$!
{
    ssh -F /dev/null -i "$key" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=10 -o Compression=no \
        -o StrictHostKeyChecking=yes -o "UserKnownHostsFile=$key.hosts" -o GlobalKnownHostsFile=/dev/null \
        -o HostKeyAlias=holder -o ServerAliveInterval=15 -o ServerAliveCountMax=4 \
        -c aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com \
        -p "$5" "$3@$4" tar <"$key.left_out"
    echo $? >"$key.status"
} | tar -x --no-same-owner -f - &
copier=$!
wait "$copier" || exit 1 # a shell hears of a signal while it waits, and not while it runs a program
kill "$teller" 2>/dev/null
wait # for ssh, and for its status
teller=
status=$(cat "$key.status")
[ "$status" -le 1 ] || exit "$status" # 1: the folder changed meanwhile, as that of a node does that copies itself
while read -r size path; do
    [ "$(stat -c %s "$path" 2>/dev/null)" = "$size" ] && continue
    echo "$path has not come whole"
    exit 1
done <"$key.now"
