#!/usr/bin/env bash
# pillow-heif 1.8.1: quality=-1, "lossless", changes most pixels of a picture unless two further options are given.
#
# Guess: a file that is saved as lossless opens with the pixels that went in.
# Seen: with quality=-1 alone the chroma is still halved (4:2:0): about every pixel of a colourful picture changes, by
# dozens of levels. With chroma=444 as well it changes by 1, because the colours are rounded on their way to YCbCr and
# back. Only with matrix_coefficients=0 too are all pixels what they were. Nothing warns.
# Why it matters: who edits a HEIC and writes it "losslessly" to keep everything else as it was has changed all of it.
# What helps: quality=-1, chroma=444, matrix_coefficients=0 together, and a comparison after writing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q pillow-heif==1.8.1 pillow==12.3.0 numpy==2.4.6
cd "$work"
cat > try.py <<'P'
import io

import numpy as np
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()
colours = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
picture = np.asarray(Image.fromarray(colours).resize((320, 240), Image.Resampling.BICUBIC))


def largest_change(**options):
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "HEIF", **options)
    opened = np.asarray(Image.open(out).convert("RGB")).astype(int)
    change = np.abs(opened - picture)
    print(f"{options}: largest change {change.max()}, pixels changed {(change.max(axis=2) > 0).mean():.0%}")
    return int(change.max())


alone = largest_change(quality=-1)
full_chroma = largest_change(quality=-1, chroma=444)
all_three = largest_change(quality=-1, chroma=444, matrix_coefficients=0)
assert alone > 10 and 0 < full_chroma <= 2 and all_three == 0, "changed"
P
"$work/env/bin/pip" show pillow-heif | grep '^Version'
"$work/env/bin/python" try.py
