# Process 1 of a sandbox: makes its file system, waits for a line on stdin, then runs a command until the command or
# stdin ends; the kernel then kills all that is left. $1 its folder, $2 the cache, $3 "machine", "bare" (see
# sandbox_bare.py), "again" (in the mount namespace of a machine whose process 1 has ended) or "builder" (which has this
# computer's network and home and writes the cache itself), $4 Python's prefix; the rest: the command.
set -eu
folder=$1 cache=$2 kind=$3 python=$4
shift 4
path=$PATH
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022
exec 3<&0 </dev/null
root=$folder/root
if [ "$kind" = again ]; then
    root=
else
    mount -t tmpfs -o mode=755 sandbox "$folder/layers"
fi

private() { # $1 a folder of this computer, $2 where it is seen, with all writes kept in the tmpfs
    layer=$(mktemp -d "$folder/layers/XXXXXX")
    mkdir "$layer/upper" "$layer/work"
    chmod --reference="$1" "$layer/upper"
    if [ "$1" = / ] && [ -e "$folder/purged.tar" ]; then
        tar --xattrs --xattrs-include='*' -C "$layer/upper" -xpf "$folder/purged.tar"
    fi
    mount -t overlay -o "lowerdir=$1,upperdir=$layer/upper,workdir=$layer/work" sandbox "$2"
}

fresh() { # $1 mode, then folders that begin empty
    mode=$1
    shift
    for name; do
        mkdir -p "$root$name"
        mount -t tmpfs -o "mode=$mode" sandbox "$root$name"
    done
}

make_root() {
    private / "$root"
    top=$layer/upper
    for disk in $(findmnt --real --raw --noheadings --output TARGET); do
        if [ "$disk" != / ] && [ -d "$root$disk" ]; then
            # What cannot lie under an overlay is only read.
            private "$disk" "$root$disk" 2>/dev/null || mount --bind -o ro "$disk" "$root$disk"
        fi
    done
    mkdir -p "$root/var/cache/crossover"
    if [ "$kind" != builder ]; then
        private "$cache" "$root/var/cache/crossover"
        fresh 755 /run /home /etc/ssh
        fresh 700 /root
        fresh 1777 /tmp
        if [ "$kind" = machine ] && [ ! -d "$root$python" ]; then
            mkdir -p "$root$python"
            mount --bind "$python" "$root$python"
            mount -o remount,bind,ro "$root$python"
        fi
    else
        mount --bind "$cache" "$root/var/cache/crossover"
        mount --rbind /run "$root/run"
    fi

    fresh 755 /dev
    for name in null zero full random urandom tty; do
        touch "$root/dev/$name"
        mount --bind "/dev/$name" "$root/dev/$name"
    done
    mkdir "$root/dev/pts"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 sandbox "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    for number in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${number%:*}" "$root/dev/${number#*:}"; done
    mount -t sysfs -o ro sandbox "$root/sys"
}

# Packages are purged by apt itself, so that dpkg knows it, and what that changes is kept for the next machine.
purge() {
    # shellcheck disable=SC2046 # names of packages
    set -- $(chroot "$root" dpkg-query -W -f '${db:Status-Status} ${Package}\n' $(cat "$folder/purged") 2>/dev/null |
        sed -n 's/^installed //p')
    [ $# -eq 0 ] || chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C \
        apt-get -qq -y -o DPkg::Options::=--force-unsafe-io purge "$@" >&2
    tar --xattrs --xattrs-include='*' -C "$top" -cf "$folder/purged.new" .
}

# The only repository is the one that the test made.
make_bare() {
    [ -e "$folder/purged.tar" ] || purge
    rm -rf "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/* "$root"/var/lib/apt/lists/*
    rm -f "$root/usr/sbin/policy-rc.d"
    fresh 755 /usr/local /opt
    mkdir -p "$root/srv/packages" "$root/usr/local/bin" "$root/usr/local/sbin" "$root/usr/local/lib"
    mount --bind -o ro "$folder/packages" "$root/srv/packages"
    sed -i '/^ubuntu:/d' "$root/etc/passwd"
    echo 'ubuntu:x:0:0:root by another name:/home/ubuntu:/bin/bash' >>"$root/etc/passwd"
}

[ "$kind" = again ] || make_root
mount -t proc sandbox "$root/proc"
if [ "$kind" = again ]; then
    umount -l /run /tmp /dev/shm
    fresh 755 /run /run/sshd
    fresh 1777 /tmp
fi
fresh 1777 /dev/shm
mount --bind -o ro "$root/proc/sys" "$root/proc/sys"
cat "$root/proc/sys/kernel/random/uuid" >"$root/dev/.boot_id"
mount --bind "$root/dev/.boot_id" "$root/proc/sys/kernel/random/boot_id"
if [ "$kind" = bare ]; then make_bare; fi

if [ "$kind" != again ]; then
    cp -a "$folder/seed/." "$root/"
    cd "$root"
    mkdir -p mnt/.computer
    pivot_root . mnt/.computer
    cd /
    umount -l /mnt/.computer
    rmdir /mnt/.computer
fi
if [ "$kind" != builder ]; then hostname "$(cat /etc/hostname)"; fi

echo ready
exec >&2
read -r _ <&3
PATH=$path
unset OLDPWD SHLVL
# An accident inside must not reach the kernel that all share.
/usr/bin/setpriv --bounding-set=-mknod,-sys_boot,-sys_module,-sys_rawio,-sys_time "$@" 3<&- &
command=$!
# Not `wait -n` for the two: bash 5.2 hangs where a child ends between its look at those that have ended and its wait
# for the next one (2 of 24,000 here, with a busy machine).
trap 'exit 0' USR1
{
    cat <&3 >/dev/null 2>&1
    kill -USR1 1
} &
exec 3<&-
wait "$command"
