"""Metrics and the networks that they stand on."""
