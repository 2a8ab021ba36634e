# Starts a driver's services, now and at each boot, as root: their names. Persistence is really on afterwards.
set -u
for name; do
    unit=$name.service
    if [ "$(systemctl show -p LoadState --value "$unit" 2>/dev/null)" != loaded ]; then
        [ "$name" = nvidia-persistenced ] || { echo "there is no $unit" && exit 1; }
        continue # `nvidia-smi -pm` below, until the next boot
    fi
    if [ "$name" = nvidia-persistenced ]; then
        # Some distributions ship the unit so that it does the one thing for which it is there not at all.
        starts=$(systemctl cat "$unit" 2>/dev/null | sed -n 's/^ExecStart=\(..*\)/\1/p' | tail -n 1)
        case $starts in
        *--no-persistence-mode*)
            folder=/etc/systemd/system/$unit.d
            mkdir -p "$folder"
            printf '[Service]\nExecStart=\nExecStart=%s\n' "$(printf '%s' "$starts" | sed 's/ *--no-persistence-mode//')" \
                >"$folder/crossover.conf"
            systemctl daemon-reload
            systemctl --quiet stop "$unit"
            ;;
        esac
    fi
    systemctl --quiet unmask "$unit" 2>/dev/null
    systemctl --quiet enable "$unit"
    # One that runs is left alone: a fabric manager that is restarted takes what runs on the GPUs along.
    if ! systemctl --quiet is-active "$unit" && ! systemctl start "$unit"; then
        journalctl -u "$unit" -n 10 --no-pager 2>/dev/null
        exit 1
    fi
done
timeout -k 5 60 nvidia-smi -pm 1 >/dev/null 2>&1
exit 0
