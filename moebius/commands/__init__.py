"""The commands of the command line, one file each: `add` adds its options, `run` runs it, `describe` makes its text."""
