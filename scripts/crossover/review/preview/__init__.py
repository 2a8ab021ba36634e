"""The real preview: `engine` runs it with the pack, `events` understands what is reported, `scrub` hides secrets."""
