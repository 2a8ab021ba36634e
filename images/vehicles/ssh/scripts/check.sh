# Asks until the answer is the expected one. $1 seconds, $2 status expected, $3 method, $4 URL, $5 body or nothing,
# $6 name:port:address for TLS or nothing, $7 CA certificate or nothing, $8 file of a bearer key or nothing.
# The key goes from its file through a pipe into curl: it stands in no argument list.
end=$(($(date +%s) + $1))
expected=$2
bearer=$8
# A busy vLLM takes seconds for one token and is healthy: one try has the gateway's canary time at least, whatever $1.
longest=$(($1 < 8 ? 8 : $1 > 60 ? 60 : $1))
set -- -sS --noproxy '*' --max-time "$longest" --write-out '\nstatus:%{http_code}\n' --request "$3" "$4" \
    ${5:+--header 'Content-Type: application/json' --data-raw "$5"} ${6:+--resolve "$6"} ${7:+--cacert "$7"}

ask() {
    if [ -z "$bearer" ]; then
        curl "$@" 2>&1
    else
        { printf 'Authorization: Bearer ' && cat "$bearer" && echo; } | curl --header @- "$@" 2>&1
    fi
}

shown=
while :; do
    answer=$(ask "$@")
    status=$(printf '%s\n' "$answer" | sed -n 's/^status:\([0-9]\{3\}\)$/\1/p' | tail -n 1)
    [ "$status" = "$expected" ] && exit 0
    if [ "$status" = 000 ]; then status="no answer"; fi
    told="$status $(printf '%s\n' "$answer" | sed '/^status:[0-9]*$/d' | tr '\n' ' ' | cut -c 1-300)"
    if [ "$told" != "$shown" ]; then printf '%s\n' "$told"; fi
    shown=$told
    [ "$(date +%s)" -lt "$end" ] || exit 75
    sleep 0.5
done
