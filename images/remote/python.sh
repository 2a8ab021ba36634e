# Defines `python_with MODULES`: the name of the first Python of 3.11 or newer on the PATH that has them, "sys" for any.
python_with() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        command -v "$name" >/dev/null 2>&1 || continue
        "$name" -c "import sys, $1; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || continue
        printf '%s\n' "$name"
        return 0
    done
    return 1
}
