"""The pictures of an evaluation and their masks."""
