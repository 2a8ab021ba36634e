# Defines `pythons`: the Pythons of 3.11 or newer on the PATH, a name a line, in the order in which they are taken.
pythons() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        command -v "$name" >/dev/null 2>&1 || continue
        ! "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || printf '%s\n' "$name"
    done
}
