"""What is remembered between runs stays out of the user's cache; and Pillow knows HEIC, which tests write."""

import os
import tempfile

import pillow_heif

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: each worker has one core

os.environ["MOEBIUS_CACHE"] = tempfile.mkdtemp(prefix="moebius-test-cache-")
pillow_heif.register_heif_opener()
