"""The page, as `python -m moebius serve` starts it. On a Hugging Face Space this file is what runs."""

from __future__ import annotations

import sys

from moebius.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
