# Runs supervisorctl. $1 root, $2 its environment, $3 the service whose mark is taken away, or nothing; then the words.
root=$1
environment=$2
mark=$3
shift 3
cd "$root" || exit 1
"$environment/bin/supervisorctl" -c supervisor/supervisord.conf "$@" 2>&1
status=$?
[ "$status" -eq 4 ] && exit 4 # nobody listens on the socket
[ -n "$mark" ] && rm -f "state/pending/$mark"
exit "$status"
