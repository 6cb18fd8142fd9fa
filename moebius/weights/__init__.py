"""Weight files: which exist, where they are, how they are fetched, loaded and verified."""
