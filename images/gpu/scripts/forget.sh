# All is well: the mark of the last reboot goes, as root.
rm -f /var/lib/crossover-gpu/rebooted
