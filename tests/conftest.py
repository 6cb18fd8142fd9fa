"""What is remembered between runs stays out of the user's cache."""

import os
import tempfile

os.environ["MOEBIUS_CACHE"] = tempfile.mkdtemp(prefix="moebius-test-cache-")
