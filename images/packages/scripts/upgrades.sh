# Stops what upgrades packages by itself, as root, behind apt.sh. $1 patience in seconds with a run that is under way:
# it is never killed. For machines whose driver and kernel must stay as they are; others keep their security updates.
begin "$1"
file=/etc/apt/apt.conf.d/99crossover-no-upgrades
text='// Crossover: an upgrade under a loaded driver breaks it. Remove this file to have upgrades again.
APT::Periodic::Enable "0";'

off() {
    for unit; do
        case $(systemctl is-enabled "$unit" 2>/dev/null) in
        enabled*) systemctl --quiet disable "$unit" ;;
        esac
        ! systemctl --quiet is-active "$unit" || systemctl stop "$unit"
    done
}

stop_upgrades() {
    if [ "$(cat "$file" 2>/dev/null)" != "$text" ]; then
        tell 'stopping upgrades that come by themselves'
        printf '%s\n' "$text" >"$file.crossover-new" && mv "$file.crossover-new" "$file" ||
            problem space "$file cannot be written"
    fi
    [ -d /run/systemd/system ] || return 0
    off apt-daily.timer apt-daily-upgrade.timer
    for unit in apt-daily.service apt-daily-upgrade.service; do
        told=
        while case $(systemctl is-active "$unit") in activ*) ;; *) false ;; esac; do
            [ "$(date +%s)" -lt "$patience_ends" ] || problem locks "$unit, begun by the system itself"
            [ -n "$told" ] || tell "waiting for $unit, which is under way"
            told=yes
            sleep 2
        done
    done
    off unattended-upgrades.service # its stop would cut short a run that is under way
}

at_end() { :; }

detached stop_upgrades
