"""Photo files: opened, and written back so that only what was painted changes. Knows nothing of models."""
