# Tells how a machine's GPUs are, and changes nothing. $1 seconds that each question may take. All are asked at once, so
# that one which hangs costs no more than its own time. Answers lines "name<TAB>a line of its answer", and for each
# question "ran<TAB>name<TAB>status": 124 is one that did not answer in time.
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
each=$1
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
sudo=
[ "$(id -u)" -eq 0 ] || ! sudo -n true 2>/dev/null || sudo='sudo -n'

ask() {
    name=$1
    shift
    {
        timeout -k 2 "$each" "$@" </dev/null >"$folder/$name" 2>&1
        echo $? >"$folder/$name.status"
    } &
}

csv='--format=csv,noheader,nounits'
# One unknown field fails a whole query: those that not every driver knows are asked apart.
ask gpu nvidia-smi --query-gpu=index,pci.bus_id,name,driver_version,persistence_mode,ecc.mode.current,ecc.errors.uncorrected.volatile.total,mig.mode.current,pstate,pcie.link.gen.current,pcie.link.gen.max,pcie.link.width.current,pcie.link.width.max $csv
ask rows nvidia-smi --query-remapped-rows=gpu_bus_id,remapped_rows.pending,remapped_rows.failure $csv
ask throttle nvidia-smi --query-gpu=index,clocks_event_reasons.hw_thermal_slowdown,clocks_event_reasons.hw_power_brake_slowdown,clocks_event_reasons.sw_thermal_slowdown $csv
ask fabric nvidia-smi --query-gpu=index,fabric.state,fabric.status $csv
ask topology nvidia-smi topo -m
ask links nvidia-smi nvlink -s
# The driver's own call, without a context: it takes no memory of a GPU that serves. 802 is a fabric that is not ready.
ask cuda python3 -c '
import ctypes
cuda, count = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
status = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count))
print(status, count.value)
'
# shellcheck disable=SC2016
ask kernel sh -c '
lines=$($1 journalctl -q -k -b 0 --no-pager -o cat 2>/dev/null; $1 dmesg 2>/dev/null)
[ -n "$lines" ] || exit 77
printf "%s\n" "$lines" | grep -E "S?Xid \(PCI" | sed "s/^\[ *[0-9.]*\] *//" | awk "!seen[\$0]++" | tail -n 200
' sh "$sudo"
wait
for answer in "$folder"/*.status; do
    name=$(basename "$answer" .status)
    printf 'ran\t%s\t%s\n' "$name" "$(cat "$answer")"
    sed "s/^/$name	/" "$folder/$name"
done
exit 0
