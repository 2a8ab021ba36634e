# Keeps nouveau from loading, as root. $1 "initramfs": that one holds it, and is made anew.
set -eu
umask 022
mkdir -p /etc/modprobe.d
file=/etc/modprobe.d/crossover-nouveau.conf
printf '%s\n' '# Crossover: the GPUs are for NVIDIA'"'"'s driver.' 'blacklist nouveau' 'options nouveau modeset=0' >"$file.new"
mv "$file.new" "$file"
[ "${1:-}" != initramfs ] || update-initramfs -u
