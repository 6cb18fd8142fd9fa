"""What is remembered between runs stays out of the user's cache; and Pillow knows HEIC, which tests write."""

import os
import tempfile

import pillow_heif

os.environ["MOEBIUS_CACHE"] = tempfile.mkdtemp(prefix="moebius-test-cache-")
pillow_heif.register_heif_opener()
