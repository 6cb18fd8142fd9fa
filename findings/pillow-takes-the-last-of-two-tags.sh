#!/usr/bin/env bash
# Pillow 12.3.0: where a TIFF's directory has a tag twice, Pillow takes the last one; libtiff and tifffile take the first.
#
# Guess: all readers take the same one, or warn. (TIFF 6.0 wants tags sorted in ascending order and does not speak of two.)
# Seen: with PhotometricInterpretation 1 and 0 ("zero is black", then "zero is white") Pillow gives the negative without a
# warning; tifffile 2026.3.3 and libtiff (as imagecodecs 2026.3.6 brings it) read the first. The same holds for the size.
# Why it matters: one file is two pictures. Who looks at a photo with one library and edits its strips with another (to keep
# all others as they are) writes something else than was seen; a check that was made on the one picture says nothing of the
# other. Files with two equal tags come out of programs that add tags without looking.
# What helps: look for repeated tags oneself, and write such a file anew from the pixels that were shown.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q pillow==12.3.0 tifffile==2026.3.3 imagecodecs==2026.3.6 numpy
cd "$work"
cat > try.py <<'P'
import io
import struct

import imagecodecs
import tifffile
from PIL import Image


def tiff(*more: tuple[int, int]) -> bytes:
    """Four grey pixels in a row, uncompressed; `more`: further tags (number, value), after those of that number."""
    tags = [(256, 4), (257, 1), (258, 8), (259, 1), (262, 1), (273, 0), (277, 1), (278, 1), (279, 4), *more]
    tags.sort(key=lambda tag: tag[0])
    start = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, start if tag == 273 else value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + bytes((0, 80, 160, 255))


for name, more in (("once", ()), ("photometric twice", ((262, 0),)), ("width twice", ((256, 2),))):
    data = tiff(*more)
    with Image.open(io.BytesIO(data)) as image:
        pillow = list(image.tobytes())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0].photometric.name, file.pages[0].imagewidth
    print(f"{name}: Pillow {pillow}, tifffile {page}, libtiff {imagecodecs.tiff_decode(data).ravel().tolist()}")
P
"$work/env/bin/python" try.py 2>/dev/null | tee seen
diff seen - <<'S' || { echo "changed"; exit 1; }
once: Pillow [0, 80, 160, 255], tifffile ('MINISBLACK', 4), libtiff [0, 80, 160, 255]
photometric twice: Pillow [255, 175, 95, 0], tifffile ('MINISBLACK', 4), libtiff [0, 80, 160, 255]
width twice: Pillow [0, 80], tifffile ('MINISBLACK', 4), libtiff [0, 80, 160, 255]
S
