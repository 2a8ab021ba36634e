"""Pure: bundle and host become the files of that machine."""
