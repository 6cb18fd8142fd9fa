import io

import pytest
from PIL import Image

from moebius.photo.jpeg_segments import bits_per_sample, join_segments, read_segments


def gradient(**options) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((64, 48)).save(out, "JPEG", **options)
    return out.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"comment": b"\xff\xd9"}])
def test_segments_of_a_file_join_to_the_same_bytes(options):
    data = gradient(**options)
    segments, end = read_segments(data)
    assert end == len(data) and join_segments(segments) == data
    assert read_segments(data + b"behind")[1] == len(data)


def test_segments_of_a_damaged_file():
    data = gradient()
    with pytest.raises(ValueError, match="start marker"):
        read_segments(b"GIF89a")
    stray = data[:2] + b"stray" + data[2:]  # decoders skip it
    assert read_segments(stray)[0] == read_segments(data)[0]
    with pytest.raises(ValueError, match="byte 2"):
        read_segments(stray, strict=True)


def test_bits_per_sample():
    data = gradient()
    at = data.index(b"\xff\xc0") + 4
    assert bits_per_sample(data) == 8
    assert bits_per_sample(data[:at] + b"\x0c" + data[at + 1 :]) == 12
    assert bits_per_sample(b"GIF89a") is None and bits_per_sample(data[:at]) is None
