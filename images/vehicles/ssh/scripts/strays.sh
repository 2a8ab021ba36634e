# Ends what launchers of this root have started and no supervisor looks after: they mark it with CROSSOVER_ROOT.
marked() {
    grep -lzxF "CROSSOVER_ROOT=$1" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3
}

end_strays() { # $1 root, $2 seconds until they are killed
    end=$(($(date +%s) + $2))
    signal=TERM
    while pids=$(marked "$1") && [ -n "$pids" ]; do
        if [ "$(date +%s)" -ge "$end" ]; then signal=KILL; fi
        kill -"$signal" $pids 2>/dev/null
        sleep 0.2
        [ "$(date +%s)" -lt $((end + 10)) ] || return 1
    done
    return 0
}

end_supervisord() { # $1 root, $2 seconds until it is killed; its services end with it
    pid=$(cat "$1/run/supervisord.pid" 2>/dev/null) || return 0
    grep -qF "$1/supervisor/supervisord.conf" "/proc/$pid/cmdline" 2>/dev/null || return 0
    kill -TERM "$pid" 2>/dev/null
    end=$(($(date +%s) + $2))
    while grep -qF "$1/supervisor/supervisord.conf" "/proc/$pid/cmdline" 2>/dev/null; do
        [ "$(date +%s)" -lt "$end" ] || { kill -KILL "$pid" 2>/dev/null; return 0; }
        sleep 0.1
    done
}
