# Asks until every answer is the expected one, and meanwhile shows what the services write.
# $1 seconds, $2 status expected, $3 method, $4 body or nothing, $5 name:port:address for TLS or nothing, $6 CA
# certificate or nothing, $7 file of a bearer key or nothing, $8 file of a client's certificate and key or nothing, $9 the
# user whose password $7 holds or nothing, then URLs of one server. The status 000 is expected of a server that ends the handshake. The key goes from its file
# through a pipe into curl: it stands in no argument list.
# stdin: lines "file NAME OFFSET PATH" and "unit NAME SINCE UNIT", words between tabs: the logs, and from where on they
# are news; "-" is from now on. Says lines of words between tabs: "answer WORDS", "log NAME LINE", and every other second
# "look". Whoever listens no more ends it with the next "look".
end=$(($(date +%s) + $1))
expected=$2
bearer=$7
# A busy vLLM takes seconds for one token and is healthy: one try has the gateway's canary time at least, whatever $1.
longest=$(($1 < 8 ? 8 : $1 > 60 ? 60 : $1))
# The first try is short: what listens and never answers would keep the services from being watched meanwhile.
quickly=
[ "$1" -le 8 ] || quickly='--max-time 2'
method=$3 body=$4 located=$5 ca=$6 shown=$8 user=$9
shift 9
set -- -sS --noproxy '*' --max-time "$longest" --write-out '\nstatus:%{http_code}\n' --request "$method" \
    ${body:+--header 'Content-Type: application/json' --data-raw "$body"} ${located:+--resolve "$located"} \
    ${ca:+--cacert "$ca"} ${shown:+--cert "$shown" --key "$shown"} "$@"

ask() {
    if [ -z "$bearer" ]; then
        curl "$@" $quickly 2>&1
    elif [ -n "$user" ]; then
        { printf 'user = "%s:' "$user" && tr -d '\n' <"$bearer" && echo '"'; } | curl --config - "$@" $quickly 2>&1
    else
        { printf 'Authorization: Bearer ' && cat "$bearer" && echo; } | curl --header @- "$@" $quickly 2>&1
    fi
}

# Says each line of stdin as one of $1, in one write each: several write at a time. Progress bars go back and forth.
tell() {
    tr '\r' '\n' | while IFS= read -r line || [ -n "$line" ]; do
        [ -z "$line" ] || printf 'log\t%s\t%.1500s\n' "$1" "$line" || return
    done
}

follow_file() { # $1 name, $2 bytes of it that are no news, $3 path
    at=$2
    [ "$at" != - ] || at=$(stat -c %s "$3" 2>/dev/null || echo 0)
    while kill -0 $$ 2>/dev/null; do
        size=$(stat -c %s "$3" 2>/dev/null || echo 0)
        [ "$size" -ge "$at" ] || at=0 # a new file in its place
        [ $((size - at)) -le 65536 ] || at=$((size - 65536))
        if [ "$size" -gt "$at" ]; then
            tail -c "+$((at + 1))" "$3" 2>/dev/null | head -c $((size - at)) | tell "$1"
            at=$size
        fi
        sleep 1 >/dev/null 2>&1
    done
}

follow_unit() { # $1 name, $2 seconds since 1970, $3 unit
    # Other people's journal is for root and for members of some groups.
    sudo=
    id -nG | grep -qwE 'root|adm|systemd-journal' || sudo="sudo -n"
    since=$2
    [ "$since" != - ] || since=$(date +%s.%N)
    from="--since=@$since"
    while kill -0 $$ 2>/dev/null; do
        news=$($sudo journalctl --unit "$3" --quiet --no-pager --output cat --lines 500 --show-cursor "$from" 2>/dev/null)
        cursor=$(printf '%s\n' "$news" | sed -n 's/^-- cursor: //p' | tail -n 1)
        [ -z "$cursor" ] || from="--after-cursor=$cursor"
        printf '%s\n' "$news" | sed '/^-- cursor: /d' | tell "$1"
        sleep 2 >/dev/null 2>&1
    done
}

look() { # while somebody listens
    while sleep 2 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
        printf 'look\n' 2>/dev/null || kill $$
    done
}

told_before=
followers=
while :; do
    answer=$(ask "$@")
    ended=$?
    quickly=
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
    if [ "$told" != "$told_before" ]; then printf 'answer\t%s\n' "$told"; fi
    told_before=$told
    [ "$(date +%s)" -lt "$end" ] || exit 75
    if [ -z "$followers" ]; then # what answers at once is not watched
        trap '' PIPE
        while IFS='	' read -r kind name since where; do
            "follow_$kind" "$name" "$since" "$where" &
            followers="$followers $!"
        done
        look &
        followers="$followers $!"
        trap 'kill $followers 2>/dev/null' EXIT
    fi
    sleep 0.5
done
