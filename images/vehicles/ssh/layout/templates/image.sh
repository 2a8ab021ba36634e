# What the image sets is in no SSH session: it is read from process 1, which runs with it, at each start, and is written
# nowhere. Keys, and what would open the service to its clients, stay there.
head -c 1 /proc/1/environ >/dev/null 2>&1 || {
    echo "the variables of the image cannot be read: $(id -un) may not read those of process 1, so log in as root" >&2
    exit 1
}
eval "$(grep -z -E '^({{taken}})=' /proc/1/environ | grep -z -v -E '^({{left}})=' |
    sed -z "s/'/'\\\\''/g; s/^\([A-Za-z0-9_]*\)=\(.*\)\$/export \1='\2'/" | tr '\0' '\n')"
