# Prints the end of a service's log. $1 its log file, $2 its systemd unit or nothing, $3 lines.
if [ -n "$2" ]; then
    journalctl --unit "$2" --lines "$3" --no-pager --output cat 2>&1
elif [ -f "$1" ]; then
    tail -n "$3" "$1"
fi
exit 0
