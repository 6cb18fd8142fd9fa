"""Moebius: fill holes in photos with a small network (arXiv:2606.19195)."""

__version__ = "0.1.0"
