#!/usr/bin/env bash
# jpeglib 1.0.2: a YCCK JPEG is reported as "JCS_CMYK", the same as a CMYK one, although libjpeg tells them apart.
#
# Guess: `read_dct(path).jpeg_color_space` is libjpeg's jpeg_color_space: JCS_YCCK for a file whose Adobe segment says
# transform 2, JCS_CMYK for transform 0.
# Seen: both give the same name, although the library's list of names has JCS_YCCK. The coefficients are those that are
# stored, so the first channel of the one file is luma and that of the other is ink, and nothing in the answer says which.
# Why it matters: who edits blocks of coefficients (to keep all others as they are) has to convert the new pixels as the
# file stores them. With the reported name a YCCK file, Photoshop's usual kind, gets ink where luma belongs.
# What helps: read the transform byte of the Adobe segment (APP14) oneself.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q jpeglib==1.0.2 pillow==12.3.0
cd "$work"
cat > try.py <<'P'
import io

import jpeglib
from PIL import Image

out = io.BytesIO()
Image.new("CMYK", (16, 16), (40, 90, 10, 30)).save(out, "JPEG", quality=90)
cmyk = bytearray(out.getvalue())
at = cmyk.index(b"\xff\xee") + 4  # the Adobe segment: "Adobe", version, two flags, transform
assert cmyk[at : at + 5] == b"Adobe" and cmyk[at + 11] in (0, 2), cmyk[at : at + 12]
names = {}
for transform in (0, 2):
    cmyk[at + 11] = transform
    path = f"transform-{transform}.jpg"
    with open(path, "wb") as file:
        file.write(cmyk)
    names[transform] = str(jpeglib.read_dct(path).jpeg_color_space).split(".")[-1]
    print(f"Adobe transform {transform}: jpeg_color_space {names[transform]!r}")
assert names[0] == names[2] == "JCS_CMYK", f"changed: {names}"
P
"$work/env/bin/pip" show jpeglib | grep '^Version'
"$work/env/bin/python" try.py
