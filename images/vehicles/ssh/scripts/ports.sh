# Tells who listens on ports that are ours to be. $1 root, $2 the address that our services listen on, the rest: ports.
# Answers lines "taken PORT PROGRAM PID UNIT", tabs between; what cannot be found out is empty.
root=$1
bind=$2
shift 2
ours() {
    grep -qz '^CROSSOVER_ROOT=' "/proc/$1/environ" 2>/dev/null && return
    grep -q 'crossover-' "/proc/$1/cgroup" 2>/dev/null && return
    # A program that sets its title, as Redis does, writes over its environment; ours begin in the root.
    case $(readlink "/proc/$1/cwd" 2>/dev/null)/ in "$root"/*) ;; *) false ;; esac
}
# As the kernel writes it: the bytes of an IPv4 address from the right.
own=$(printf '%s' "$bind" | awk -F. 'NF == 4 { printf "%02X%02X%02X%02X", $4, $3, $2, $1 }')
for port; do
    ending=$(printf ':%04X' "$port")
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v ending="$ending" -v own="$own" '
        $4 == "0A" && substr($2, length($2) - 4) == ending {
            address = substr($2, 1, length($2) - 5)
            if (own == "00000000" || address == own || address == "0100007F" || address ~ /^0+$/ || address ~ /^0+1000000$/)
                print $10
        }' | while read -r inode; do
        pid=$(find /proc/[0-9]*/fd -maxdepth 1 -lname "socket:\[$inode\]" 2>/dev/null | head -n 1 | cut -d / -f 3)
        [ -z "$pid" ] || ! ours "$pid" || continue
        unit=$(sed -n 's,.*/\([^/]*\.service\)$,\1,p' "/proc/${pid:-none}/cgroup" 2>/dev/null | head -n 1)
        printf 'taken\t%s\t%s\t%s\t%s\n' "$port" "$(cat "/proc/${pid:-none}/comm" 2>/dev/null)" "$pid" "$unit"
        break
    done
done
