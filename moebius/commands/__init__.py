"""The command line's commands, one file each: `add` declares it, `run` does it, `describe` says it in words."""
