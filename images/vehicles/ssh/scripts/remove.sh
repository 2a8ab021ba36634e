# Ends all services of a root ($1) within $2 seconds and removes what supervises them: $3 is supervisord's socket,
# the rest systemd units.
# Follows strays.sh.
set -u
root=$1
grace=$2
socket=$3
shift 3
sudo=
[ "$(id -u)" -eq 0 ] || sudo="sudo -n"
for unit in "$@"; do
    [ -f "/etc/systemd/system/$unit" ] || continue
    $sudo systemctl disable --now --quiet "$unit"
    $sudo rm -f "/etc/systemd/system/$unit" "/etc/systemd/system/$unit.d/python.conf"
    $sudo rmdir "/etc/systemd/system/$unit.d" 2>/dev/null
    $sudo systemctl daemon-reload
done
end_supervisord "$root" "$grace"
end_strays "$root" "$grace" || exit 1
rm -f "$root/run/supervisord.pid" "$socket"
case $socket in /tmp/crossover-*) rmdir "${socket%/*}" 2>/dev/null ;; esac
rm -rf "$root/state" "$root/secrets"
exit 0
