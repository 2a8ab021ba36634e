# Refreshes apt's lists, as root, behind apt.sh: $1 patience with locks in seconds.
begin "$1"

refresh() {
    update
    [ -z "$index_problem" ] || echo "not all lists: $index_problem"
    : >/run/crossover-apt-updated # once a boot is enough
}

detached refresh
