# Makes the folders. $1 root, $2 cache, $3 where fast disks may be mounted, or nothing; the rest: data folders below
# the root, which are never emptied.
set -eu
umask 022
LC_ALL=C
export LC_ALL
root=$1
cache=$2
scratch=$3
shift 3
make() {
    [ -d "$1" ] && [ -w "$1" ] && return
    mkdir -p "$1" 2>/dev/null && [ -w "$1" ] && return
    sudo -n sh -c 'mkdir -p "$0" && chown "$1" "$0"' "$1" "$(id -u):$(id -g)"
}
# $1, a data folder, lies on the fast disks, unless there are none or it has content already. What a stop has emptied
# gets its folder again.
on_scratch() {
    if [ ! -L "$1" ]; then
        # The disks are mounted by a service of the image, late in the first boot.
        [ ! -d /run/systemd/system ] || timeout 120 systemctl is-system-running --wait >/dev/null 2>&1 || true
        mountpoint -q "$scratch" || return 0
        [ ! -e "$1" ] || rmdir "$1" 2>/dev/null || return 0
        mkdir -p "$(dirname "$1")"
        ln -s "$scratch/$1" "$1"
    fi
    [ "$(readlink "$1")" = "$scratch/$1" ] || return 0
    if ! mountpoint -q "$scratch"; then
        echo "$root/$1 lies on $scratch, and no disk is mounted there: see why, or remove the link" >&2
        exit 1
    fi
    make "$scratch/$1"
}
make "$root"
make "$cache"
cd "$root"
if [ -n "$scratch" ]; then
    for folder in "$@"; do
        on_scratch "$folder"
    done
fi
mkdir -p run logs state/pending secrets "$@"
chmod 700 state secrets
