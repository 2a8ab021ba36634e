# Loads the driver's modules, as root; builds them first where the package that brought them could not.
set -u
if ! modinfo nvidia >/dev/null 2>&1 && command -v dkms >/dev/null; then
    dkms autoinstall
fi
if ! timeout -k 5 300 modprobe nvidia; then
    dmesg 2>/dev/null | grep -iE 'nvrm|nvidia|key was rejected|lockdown' | tail -n 5
    exit 1
fi
timeout -k 5 60 modprobe nvidia-uvm
