# Tells what GPUs, driver, packages and services a machine has, and changes nothing. Arguments: names of packages that
# apt is asked for (KERNEL in them is the one that runs); without any, packages are not looked at. Answers lines of words
# between tabs; what cannot be found out is left out.
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
state=/var/lib/crossover-gpu
kernel=$(uname -r)
loaded= module= smi= switches=

answer() {
    printf '%s' "$1"
    shift
    printf '\t%s' "$@"
    printf '\n'
}

there() { command -v "$1" >/dev/null 2>&1; }

sudo=
if [ "$(id -u)" -eq 0 ]; then
    answer root yes
elif there sudo && sudo -n true 2>/dev/null; then
    sudo='sudo -n'
    answer root yes
fi

look_at_system() {
    answer architecture "$(uname -m)"
    answer kernel "$kernel"
    answer boot_id "$(cat /proc/sys/kernel/random/boot_id)"
    [ -r /etc/os-release ] && (
        . /etc/os-release
        answer system "${ID:-unknown}" "${VERSION_ID:-}" "${PRETTY_NAME:-}"
    )
    [ -e "/lib/modules/$kernel/build" ] && answer headers yes
    # Of its own flavour: a cloud's kernel lies beside a generic one that nobody boots.
    flavour=$(printf '%s' "$kernel" | sed 's/^[0-9.-]*//')
    newest=$(ls /boot/vmlinuz-* 2>/dev/null | sed -n "s,^/boot/vmlinuz-\([0-9.-]*$flavour\)\$,\1,p" | sort -V | tail -n 1)
    [ -n "$newest" ] && answer newest_kernel "$newest"
    [ -e /var/run/reboot-required ] && answer reboot_required yes
    answer free "$(df --output=avail -B1 / | tail -n 1 | tr -d ' ')"
    [ -e /run/crossover-apt-updated ] && answer updated yes
    [ -r $state/rebooted ] && answer rebooted "$(cat $state/rebooted)"
    container=$(systemd-detect-virt --container 2>/dev/null)
    if [ -z "$container" ] && { [ -e /.dockerenv ] || [ -e /run/.containerenv ] ||
        grep -qE 'docker|kubepods|containerd|lxc' /proc/1/cgroup 2>/dev/null; }; then
        container=container
    fi
    case $container in '' | none) ;; *) answer container "$container" ;; esac
}

look_at_secure_boot() {
    case $(mokutil --sb-state 2>/dev/null) in
    *enabled*) answer secure_boot on ;;
    *disabled*) answer secure_boot off ;;
    *)
        for variable in /sys/firmware/efi/efivars/SecureBoot-*; do
            [ -r "$variable" ] || continue
            case $(od -An -tu1 "$variable" | tail -n 1) in *1) answer secure_boot on ;; *) answer secure_boot off ;; esac
        done
        ;;
    esac
}

look_at_devices() {
    for device in /sys/bus/pci/devices/*; do
        [ "$(cat "$device/vendor" 2>/dev/null)" = 0x10de ] || continue
        class=$(cat "$device/class")
        answer pci "$class" "$(cat "$device/device")"
        case $class in 0x0680*) switches=yes ;; esac
    done
    for switch in /proc/driver/nvidia-nvswitch/devices/*; do
        [ -e "$switch" ] && answer nvswitch "$(basename "$switch")" && switches=yes
    done
}

look_at_driver() {
    if [ -r /sys/module/nvidia/version ]; then
        loaded=$(cat /sys/module/nvidia/version)
    elif [ -r /proc/driver/nvidia/version ]; then
        loaded=$(sed -n 's/.*Kernel Module[^0-9]*64 *\([0-9.]*\).*/\1/p' /proc/driver/nvidia/version)
    fi
    [ -n "$loaded" ] && answer loaded "$loaded"
    module=$(modinfo -F version nvidia 2>/dev/null)
    if [ -n "$module" ]; then
        answer module "$module"
        answer license "$(modinfo -F license nvidia 2>/dev/null)"
        answer signer "$(modinfo -F signer nvidia 2>/dev/null)"
    fi
    library=$(ldconfig -p 2>/dev/null | sed -n 's/.*libnvidia-ml\.so\.1 .*=> //p' | head -n 1)
    [ -n "$library" ] && answer library "$(readlink -f "$library" | sed 's/.*libnvidia-ml\.so\.//')"
    if [ -d /sys/module/nouveau ]; then
        answer nouveau loaded
        $sudo lsinitramfs "/boot/initrd.img-$kernel" 2>/dev/null | grep -q 'nouveau\.ko' && answer nouveau initramfs
    fi
    grep -Eqs '^blacklist +nouveau' /etc/modprobe.d/* /usr/lib/modprobe.d/* /lib/modprobe.d/* && answer nouveau blacklisted
    if [ -n "$module" ] && [ ! -d /sys/module/nvidia ]; then
        $sudo dmesg 2>/dev/null | grep -iE 'nvrm|nvidia|key was rejected|lockdown' | tail -n 3 |
            while IFS= read -r line; do answer kernel_says "$line"; done
    fi
}

look_at_smi() {
    there nvidia-smi || return
    # A lost GPU leaves the query's status at 0: its values say so.
    rows=$(timeout -k 5 60 nvidia-smi \
        --query-gpu=index,name,driver_version,persistence_mode,memory.total,ecc.errors.uncorrected.volatile.total \
        --format=csv,noheader,nounits 2>&1)
    smi=$?
    answer smi $smi
    if [ $smi -eq 0 ]; then
        printf '%s\n' "$rows" | while IFS= read -r row; do answer gpu "$row"; done
    else
        answer smi_says "$(printf '%s' "$rows" | tr '\n\t' '  ' | cut -c 1-300)"
    fi
}

look_at_units() {
    there systemctl || return
    systemctl show -p Id,LoadState,ActiveState,UnitFileState nvidia-persistenced.service nvidia-fabricmanager.service \
        apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service 2>/dev/null | awk -F = '
        function tell() {
            if (state["Id"] != "")
                printf "unit\t%s\t%s\t%s\t%s\n", state["Id"], state["LoadState"], state["ActiveState"], state["UnitFileState"]
            split("", state)
        }
        $0 == "" { tell(); next }
        { state[$1] = $2 }
        END { tell() }'
    systemctl show -p ExecStart --value nvidia-persistenced.service 2>/dev/null | grep -q -- --no-persistence-mode &&
        answer persistence_refused yes
}

# The driver works and has its fabric manager: nothing will be installed, so that nobody needs to know what could be. apt
# takes a second to say it.
settled() {
    [ -n "$loaded" ] && [ "$smi" = 0 ] || return 1
    [ -z "$switches" ] || dpkg-query -W -f '${db:Status-Abbrev} ${Version}\n' 'nvidia-fabricmanager*' 2>/dev/null |
        grep -q "^.i *$loaded-"
}

look_at_packages() {
    there dpkg-query && there apt-cache || return
    answer apt yes
    periodic=
    eval "$(apt-config shell periodic APT::Periodic::Enable 2>/dev/null)"
    [ "$periodic" = 0 ] && answer periodic off
    installed=$(dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Version}\n' 'nvidia-*' 'libnvidia-*' 'cuda-drivers*' \
        'cuda-keyring' 'libnvsdm*' 'linux-image-*' 'linux-headers-*' 'linux-modules-*' 2>/dev/null | grep -v '^.[nc]')
    printf '%s\n' "$installed" | while IFS='	' read -r status name version; do
        [ -n "$name" ] && answer package "$status" "$name" "$version"
    done
    settled && return
    running=${loaded:-$module}
    names=$(
        printf '%s\n' "$@" | sed "s/KERNEL/$kernel/"
        printf '%s\n' "$installed" | awk -F '\t' '$2 ~ /nvidia|cuda-drivers/ { print $2 }'
    )
    apt-cache policy 2>/dev/null | awk '
        $1 ~ /^-?[0-9]+$/ { where = $2 " " $3; sub(/ Packages$/, "", where); next }
        $1 == "release" { if (match($0, /o=[^,]*/)) print "source\t" where "\t" substr($0, RSTART + 2, RLENGTH - 2) }'
    # shellcheck disable=SC2086
    apt-cache madison nvidia-fabricmanager ${running:+"nvidia-fabricmanager-${running%%.*}"} $names 2>/dev/null |
        awk -F ' *\\| *' '{ gsub(/^ +/, "", $1); print "offer\t" $1 "\t" $2 "\t" $3 }' | sort -u
}

look_at_system
look_at_secure_boot
look_at_devices
look_at_driver
look_at_smi
look_at_units
[ $# -eq 0 ] || look_at_packages "$@"
exit 0
