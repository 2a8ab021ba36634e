# Asks until every answer is the expected one. $1 seconds, $2 status expected, $3 method, $4 body or nothing,
# $5 name:port:address for TLS or nothing, $6 CA certificate or nothing, $7 file of a bearer key or nothing, $8 file of
# a client's certificate and key or nothing, then URLs of one server. The status 000 is expected of a server that ends
# the handshake. The key goes from its file through a pipe into curl: it stands in no argument list.
end=$(($(date +%s) + $1))
expected=$2
bearer=$7
# A busy vLLM takes seconds for one token and is healthy: one try has the gateway's canary time at least, whatever $1.
longest=$(($1 < 8 ? 8 : $1 > 60 ? 60 : $1))
method=$3 body=$4 located=$5 ca=$6 shown=$8
shift 8
set -- -sS --noproxy '*' --max-time "$longest" --write-out '\nstatus:%{http_code}\n' --request "$method" \
    ${body:+--header 'Content-Type: application/json' --data-raw "$body"} ${located:+--resolve "$located"} \
    ${ca:+--cacert "$ca"} ${shown:+--cert "$shown" --key "$shown"} "$@"

ask() {
    if [ -z "$bearer" ]; then
        curl "$@" 2>&1
    else
        { printf 'Authorization: Bearer ' && cat "$bearer" && echo; } | curl --header @- "$@" 2>&1
    fi
}

told_before=
while :; do
    answer=$(ask "$@")
    ended=$?
    statuses=$(printf '%s\n' "$answer" | sed -n 's/^status:\([0-9]\{3\}\)$/\1/p')
    status=$(printf '%s\n' "$statuses" | grep -vx "$expected" | head -n 1)
    if [ "$expected" = 000 ]; then
        # curl: 35 the handshake failed. By TLS 1.3 a client is through before the server says no: then the connection
        # ends without a byte of an answer (52), or while the question is sent or the answer read (55, 56).
        case $ended in 35 | 52 | 55 | 56) exit 0 ;; esac
        status=${status:-000}
    elif [ -n "$statuses" ] && [ -z "$status" ]; then
        exit 0
    fi
    if [ "$status" = 000 ]; then status="no answer"; fi
    told="$status $(printf '%s\n' "$answer" | sed '/^status:[0-9]*$/d' | tr '\n' ' ' | cut -c 1-300)"
    if [ "$told" != "$told_before" ]; then printf '%s\n' "$told"; fi
    told_before=$told
    [ "$(date +%s)" -lt "$end" ] || exit 75
    sleep 0.5
done
