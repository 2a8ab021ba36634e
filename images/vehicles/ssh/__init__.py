"""A bundle onto a machine over SSH: the vehicle for every machine that lets us log in."""

from images.vehicles.ssh.inspect import inspect
from images.vehicles.ssh.install import install
from images.vehicles.ssh.remove import remove

__all__ = ["inspect", "install", "remove"]
