"""What runs on a machine: bundles (rendered purely) and the installer that brings them there."""
