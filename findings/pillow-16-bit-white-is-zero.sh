#!/usr/bin/env bash
# Pillow 12.3.0: a 16-bit grey TIFF whose zero means white (PhotometricInterpretation 0) opens as its negative if it is
# little-endian, and does not open at all if it is big-endian; at 8 bits both are inverted as they should be.
#
# Guess: the photometric tag is either honoured at every depth or refused at every depth.
# Seen: 8 bits: values come inverted, so black is 0. 16 bits, little-endian: mode I;16 with the stored values, no warning.
# 16 bits, big-endian: UnidentifiedImageError.
# Why it matters: scanners and medical software write such files. A mask or a photo that is read so is its own negative: the
# part that was to be kept is filled, or a fill is written into a file whose other readers show it inverted.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q pillow==12.3.0
cd "$work"
cat > try.py <<'P'
import io
import struct

from PIL import Image, UnidentifiedImageError


def tiff(order: str, photometric: int, bits: int) -> bytes:
    """Two by two pixels, uncompressed: 0, 1, 2 and the greatest value."""
    pixels = struct.pack(f"{order}4{'H' if bits == 16 else 'B'}", 0, 1, 2, (1 << bits) - 1).ljust(8, b"\0")
    tags = ((256, 2), (257, 2), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, 2), (279, bits // 2))
    entries = b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 16)
    return head + pixels + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


for bits in (8, 16):
    for order, name in (("<", "little-endian"), (">", "big-endian")):
        for photometric in (1, 0):
            try:
                with Image.open(io.BytesIO(tiff(order, photometric, bits))) as image:
                    seen = image.mode, [image.getpixel((x, y)) for y in (0, 1) for x in (0, 1)]
            except UnidentifiedImageError as error:
                seen = (type(error).__name__,)
            print(bits, name, "zero is white" if photometric == 0 else "zero is black", *seen)
P
"$work/env/bin/python" try.py | tee seen
diff seen - <<'S' || { echo "changed"; exit 1; }
8 little-endian zero is black L [0, 1, 2, 255]
8 little-endian zero is white L [255, 254, 253, 0]
8 big-endian zero is black L [0, 1, 2, 255]
8 big-endian zero is white L [255, 254, 253, 0]
16 little-endian zero is black I;16 [0, 1, 2, 65535]
16 little-endian zero is white I;16 [0, 1, 2, 65535]
16 big-endian zero is black I;16B [0, 1, 2, 65535]
16 big-endian zero is white UnidentifiedImageError
S
