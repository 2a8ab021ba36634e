# What the last run has left behind holds memory and GPUs, and no supervisor looks after it: it ends first.
mark={{mark}}
left() {
    grep -lzxF "CROSSOVER_SERVICE=$mark" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3
}
looks=0
while pids=$(left) && [ -n "$pids" ]; do
    looks=$((looks + 1))
    case $looks in
    1) echo "ending what the last run has left: processes" $pids && signal=TERM ;;
    26) signal=KILL ;;
    100)
        echo "processes of the last run do not end:" $pids
        exit 1
        ;;
    esac
    kill -"$signal" $pids 2>/dev/null || true
    sleep 0.2
done
CROSSOVER_SERVICE=$mark
SPT_NOENV=1 # or Python's setproctitle, which vLLM uses, writes its titles over the mark
export CROSSOVER_SERVICE SPT_NOENV
