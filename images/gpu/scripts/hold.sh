# Holds packages at their versions, as root: their names. Or, $1 "--not", lets them go.
set -eu
verb=hold
[ "${1:-}" != --not ] || { verb=unhold && shift; }
[ $# -eq 0 ] || apt-mark -qq "$verb" "$@"
