# Keeps apt to one version of the driver, as root: $1. A pin that comes with a transaction is too late for it.
set -eu
umask 022
file=/etc/apt/preferences.d/crossover-nvidia
printf '%s\n' 'Explanation: Crossover: all of a driver is of one version. Dependencies say "or newer".' \
    'Package: nvidia-* libnvidia-* libnvsdm* cuda-drivers*' "Pin: version $1*" 'Pin-Priority: 990' >"$file.crossover-new"
mv "$file.crossover-new" "$file"
