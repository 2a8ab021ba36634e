# Sets NVIDIA's repository up, as root, behind apt.sh: $1 patience with locks in seconds, $2 the URL of the package of its
# keyring, $3 its SHA-256. Nothing is installed whose sum is another.
begin "$1"
url=$2
sum=$3

keyring() {
    package=$run/cuda-keyring.deb
    curl -fsSL --retry 3 --connect-timeout 30 --max-time 300 -o "$package" "$url" || problem network "$url cannot be fetched"
    if ! printf '%s  %s\n' "$sum" "$package" | sha256sum -c --quiet - >/dev/null 2>&1; then
        got=$(sha256sum "$package" | cut -d ' ' -f 1)
        rm -f "$package"
        problem keyring "$url has SHA-256 $got, and $sum is expected"
    fi
    patiently dpkg -i "$package" || judge
    rm -f "$package"
    update
    : >/run/crossover-apt-updated
}

detached keyring
