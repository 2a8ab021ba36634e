# Makes the folders. $1 root, $2 cache; the rest: data folders below the root, which are never emptied.
set -eu
umask 022
LC_ALL=C
export LC_ALL
root=$1
cache=$2
shift 2
make() {
    [ -d "$1" ] && [ -w "$1" ] && return
    mkdir -p "$1" 2>/dev/null && [ -w "$1" ] && return
    sudo -n sh -c 'mkdir -p "$0" && chown "$1" "$0"' "$1" "$(id -u):$(id -g)"
}
make "$root"
make "$cache"
cd "$root"
mkdir -p run logs state/pending secrets "$@"
chmod 700 state secrets
