# Starts supervisord anew, detached, with this session's environment. $1 root, $2 its environment, $3 its socket,
# $4 seconds that services get to end. Follows strays.sh.
set -u
umask 022
root=$1
cd "$root" || exit 1
"$2/bin/supervisorctl" -c supervisor/supervisord.conf shutdown >/dev/null 2>&1
end_supervisord "$root" "$4"
end_strays "$root" "$4" || { echo "processes of an earlier supervisord do not end"; exit 1; }
folder=$(dirname "$3")
[ -d "$folder" ] || mkdir -m 700 "$folder" || exit 1
if [ ! -O "$folder" ]; then
    echo "$folder belongs to someone else"
    exit 1
fi
rm -f "$3" run/supervisord.pid
"$2/bin/supervisord" -c "$root/supervisor/supervisord.conf" </dev/null || exit 1
for _ in $(seq 50); do
    "$2/bin/supervisorctl" -c supervisor/supervisord.conf pid >/dev/null 2>&1 && exit 0
    sleep 0.2
done
echo "supervisord does not answer on $3"
tail -n 5 logs/supervisord.log
exit 1
