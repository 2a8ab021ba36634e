"""The one way to packages on a machine: apt, on Debian 12, Ubuntu 22.04 and 24.04, and on what is like them."""
