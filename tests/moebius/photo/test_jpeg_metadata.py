"""Segments of a JPEG that hold pictures, whole or in parts."""

import base64
import hashlib
import io
import struct

import numpy as np
import pytest
from PIL import Image

from moebius.photo.jpeg_metadata import keep_metadata
from moebius.photo.jpeg_segments import Segment, read_segments
from tests.helpers.thumbnails import BLUE, RED, jpeg, mean

XMP, EXTENSION = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
PREVIEW = Image.new("RGB", (1600, 1200), BLUE)


def noise(seed: int, length: int) -> bytes:
    return np.random.default_rng(seed).integers(0, 200, length).astype(np.uint8).tobytes()


def extended(parts: int = 6) -> tuple[bytes, list[Segment]]:
    encoded = base64.b64encode(jpeg(RED, (640, 480), 97))
    packet = b'<x:xmpmeta a:Data="%b"><dc:source>kept</dc:source></x:xmpmeta>' % encoded
    digest, step = hashlib.md5(packet).hexdigest().upper().encode(), -(-len(packet) // parts)
    segments = [Segment.of(0xE1, XMP + b'<x:xmpmeta xmpNote:HasExtendedXMP="%b"/>' % digest)]
    for at in range(0, len(packet), step):
        head = EXTENSION + digest + struct.pack(">II", len(packet), at)
        segments.append(Segment.of(0xE1, head + packet[at : at + step]))
    return packet, segments


@pytest.mark.parametrize("order", [1, -1])
def test_extended_xmp_loses_its_picture_and_can_still_be_read(order):
    packet, segments = extended()
    segments[1:] = segments[1:][::order]
    kept, notes = keep_metadata(segments, PREVIEW)
    assert notes == [] and [len(s.raw) for s in kept] == [len(s.raw) for s in segments]
    parts = {}
    for segment in kept[1:]:
        assert segment.payload.startswith(EXTENSION)
        length, offset = struct.unpack_from(">II", segment.payload, 67)
        assert length == len(packet)
        parts[offset] = segment.payload[75:]
    whole = b"".join(parts[offset] for offset in sorted(parts))
    start, end = packet.index(b'"') + 1, packet.index(b'">')
    assert whole == packet[:start] + b" " * (end - start) + packet[end:]
    digest = hashlib.md5(whole).hexdigest().upper().encode()
    assert all(segment.payload[35:67] == digest for segment in kept[1:]) and digest in kept[0].payload


def test_an_extended_packet_without_a_picture_stays_byte_for_byte():
    head = EXTENSION + b"0123456789ABCDEF" * 2  # reads like base64, with the offset bytes that follow
    segment = Segment.of(0xE1, head + struct.pack(">II", 600, 0) + b"A" * 600)
    assert keep_metadata([segment], PREVIEW)[0] == [segment]


def test_a_preview_that_goes_on_in_the_next_exif_segment():
    exif = b"II*\0\x08\0\0\0\0\0\0\0\0\0" + jpeg(RED, (1000, 750), 95) + b"behind"
    parts = [exif[i : i + 60000] for i in range(0, len(exif), 60000)]
    assert len(parts) > 2
    kept, _ = keep_metadata([Segment.of(0xE1, b"Exif\0\0" + part) for part in parts], PREVIEW)
    whole = b"".join(segment.payload[6:] for segment in kept)
    assert len(whole) == len(exif) and whole[:14] == exif[:14] and whole.endswith(b"behind")
    np.testing.assert_allclose(mean(Image.open(io.BytesIO(whole[14:]))), BLUE, atol=4)
    old = exif[14:]
    assert not any(old[i : i + 64] in whole for i in range(2000, len(old) - 64, 64))


@pytest.mark.parametrize("name", [b"FLIR\0\1", b"HDR_RI ver"])
def test_makers_pictures_in_parts_are_left_out_and_reported(name):
    parts = [Segment.of(0xE1, name + bytes([i, 2]) + noise(i, 30000)) for i in range(3)]
    comment = Segment.of(0xFE, b"kept")
    kept, notes = keep_metadata([*parts, comment], PREVIEW)
    assert kept == [comment] and len(notes) == 1 and "was left out: it would still show what was removed" in notes[0]


def test_unknown_segments_stay_while_they_are_too_short_for_a_picture():
    short = [Segment.of(0xE3, noise(7, 9000))]
    long = [Segment.of(0xE4, noise(i, 20000)) for i in range(2)]
    known = [Segment.of(0xE6, b"GoPro\0" + noise(9, 40000)), Segment.of(0xFE, noise(10, 60000))]
    kept, notes = keep_metadata([*short, *long, *known], PREVIEW)
    assert kept == [*short, *known]
    assert notes == [
        "Private data (APP4), which may hold a picture, was left out: it would still show what was removed."
    ]


def test_uncompressed_thumbnails_of_jfif_are_left_out():
    jfif = b"JFIF\0\1\2\0\0\1\0\1" + bytes([10, 10]) + bytes(RED) * 100
    jfxx = b"JFXX\0\x13" + bytes([10, 10]) + bytes(RED) * 100
    kept, _ = keep_metadata([Segment.of(0xE0, jfif), Segment.of(0xE0, jfxx)], PREVIEW)
    assert [segment.payload for segment in kept] == [jfif[:12] + b"\0\0"]


def test_segments_of_a_real_file_stay():
    out = io.BytesIO()
    Image.new("RGB", (32, 32)).save(out, "JPEG", icc_profile=b"FF" * 40000, comment=b"hello", xmp=b"<x/>" * 300)
    segments, _ = read_segments(out.getvalue())
    kept, notes = keep_metadata(segments, PREVIEW)
    assert kept == [segment for segment in segments if segment.is_metadata] and notes == []
