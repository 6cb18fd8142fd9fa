"""Inference forms of the networks: the same functions with constants folded in, channels last."""
