# Brings systemd to what stands in the root. $1 root, $2 the folder of units.
# Reads lines "unit NAME", "apart NAME ENVIRONMENT", "remove NAME", "start NAME", "restart NAME SERVICE",
# "reload NAME SERVICE SIGNAL".
set -eu
exec 2>&1
root=$1
units=$2
sudo=
[ "$(id -u)" -eq 0 ] || sudo="sudo -n"
take() { # $1 a file, $2 where systemd is to have it
    cmp -s "$1" "$2" && return
    $sudo install -D -m 644 "$1" "$2"
    $sudo systemctl daemon-reload
}
while read -r kind unit service signal; do
    case $kind in
    unit)
        take "$root/systemd/$unit" "$units/$unit"
        $sudo systemctl enable --quiet "$unit"
        ;;
    apart)
        # Its Python may stand in a home, which a service with a user of its own does not see.
        environment=$service${signal:+ $signal}
        python=$("$environment/bin/python" -I -c 'import sys; print(sys.base_prefix.replace("%", "%%"))')
        printf '[Service]\nBindReadOnlyPaths="%s"\n' "$python" >"$root/systemd/python.conf"
        take "$root/systemd/python.conf" "$units/$unit.d/python.conf"
        rm -f "$root/systemd/python.conf"
        ;;
    remove)
        if [ -f "$units/$unit" ]; then
            $sudo systemctl disable --now --quiet "$unit"
            $sudo rm -f "$units/$unit" "$units/$unit.d/python.conf"
            $sudo rmdir "$units/$unit.d" 2>/dev/null || true
            $sudo systemctl daemon-reload
        fi
        ;;
    start) $sudo systemctl start "$unit" ;;
    restart)
        echo "restarting $service"
        $sudo systemctl restart "$unit"
        rm -f "$root/state/pending/$service"
        ;;
    reload)
        $sudo systemctl kill --kill-who=main --signal="$signal" "$unit"
        rm -f "$root/state/pending/$service"
        ;;
    esac
done
