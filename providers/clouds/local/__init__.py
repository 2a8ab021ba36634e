"""This computer as a cloud: a machine is a folder with its own sshd on loopback."""
