"""What keeps a bundle's services alive: systemd, or PyPI's supervisor where a machine has none."""
