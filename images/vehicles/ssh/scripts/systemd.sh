# Brings systemd to what stands in the root. $1 root, $2 the folder of units.
# Reads lines "unit NAME", "remove NAME", "start NAME", "restart NAME SERVICE", "reload NAME SERVICE SIGNAL".
set -eu
exec 2>&1
root=$1
units=$2
sudo=
[ "$(id -u)" -eq 0 ] || sudo="sudo -n"
while read -r kind unit service signal; do
    case $kind in
    unit)
        cmp -s "$root/systemd/$unit" "$units/$unit" || {
            $sudo install -m 644 "$root/systemd/$unit" "$units/$unit"
            $sudo systemctl daemon-reload
        }
        $sudo systemctl enable --quiet "$unit"
        ;;
    remove)
        if [ -f "$units/$unit" ]; then
            $sudo systemctl disable --now --quiet "$unit"
            $sudo rm -f "$units/$unit"
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
