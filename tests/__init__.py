"""Tests; a package, because torch-fidelity installs another one of this name, which `python -m tests.…` would find."""
