"""Pictures and videos behind a JPEG's end: left out, named, and described nowhere any more."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from moebius.photo import trailer
from moebius.photo.photo_file import PhotoError, encode_photo, open_photo
from moebius.photo.xmp import blank_descriptions

W, H = 64, 48
XMP = b"http://ns.adobe.com/xap/1.0/\0"
NAMESPACES = (
    b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" '
    b'xmlns:C="http://ns.google.com/photos/1.0/container/" '
    b'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:oppo="http://ns.oplus.com/photos/1.0/camera/" '
)
DIRECTORY = (
    b'<C:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><C:Item Item:Semantic="Primary"/></rdf:li>'
    b'<rdf:li rdf:parseType="Resource"><C:Item Item:Semantic="GainMap" Item:Length="900"/></rdf:li>'
    b"</rdf:Seq></C:Directory>"
)
CLAIMS = (
    b'hdrgm:Version="1.0"',
    b'GCamera:MotionPhoto="1"',
    b"GCamera:MicroVideoOffset='123'",
    b'oppo:OLivePhotoVersion="2"',
)


def packet(claims: bytes, elements: bytes) -> bytes:
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" '
        + NAMESPACES
        + claims
        + b' GCamera:PortraitVersion="1">'
        + elements
        + b"<dc:title>stay</dc:title></rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def jpeg(seed: int = 1, head: bytes = b"") -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(80, 160, (H, W, 3)).astype(np.uint8)).save(out, "JPEG")
    return out.getvalue()[:2] + head + out.getvalue()[2:]


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def video() -> bytes:
    noise = np.random.default_rng(2).bytes(3000)
    return (
        struct.pack(">I4s4sI", 16, b"ftyp", b"mp42", 0)
        + struct.pack(">I4s", 8 + 3003, b"mdat")
        + noise
        + b"\xff\xd8\xff"
    )


def claiming(behind: bytes) -> bytes:
    head = segment(0xE1, XMP + packet(b" ".join(CLAIMS), DIRECTORY + b"<hdrgm:Gamma>1</hdrgm:Gamma>"))
    head += segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4)) + segment(0xE2, b"MPF\0II*\0" + bytes(30))
    return jpeg(head=head) + behind


def filled(data: bytes, suffix: str | None = None):
    photo, changed = open_photo(data), np.zeros((H, W), bool)
    changed[:8, :8] = True
    return encode_photo(photo, photo.raster, changed, suffix)


@pytest.mark.parametrize("suffix", [None, ".png", ".webp", ".tif", ".avif", ".heic"])
@pytest.mark.parametrize(("behind", "what"), [(jpeg(3), "A gain map"), (video(), "A video")])
def test_what_is_left_out_is_named_and_described_nowhere(behind, what, suffix):
    new = filled(claiming(behind), suffix)
    assert any(f"{what} behind the photo was left out" in note for note in new.notes)
    for claim in (*CLAIMS, b"C:Directory", b"hdrgm:Gamma", b"iso:ts:21496", b"MPF\0"):
        assert claim not in new.data
    assert b"<dc:title>stay</dc:title>" in new.data and b'GCamera:PortraitVersion="1"' in new.data


def test_a_photo_with_nothing_behind_it_keeps_its_properties():
    new = filled(claiming(b""))
    assert all(claim in new.data for claim in CLAIMS) and new.notes == ()


def test_blanked_packets_keep_their_length_and_all_other_bytes():
    before = packet(b"", b"")
    after = blank_descriptions(packet(CLAIMS[0], DIRECTORY))
    assert len(after) == len(packet(CLAIMS[0], DIRECTORY)) and b"".join(after.split()) == b"".join(before.split())
    assert blank_descriptions(before) == before
    for damaged in (b"", b"<x", b"<!DOCTYPE a><a/>", packet(CLAIMS[0], DIRECTORY)[:-9]):
        assert blank_descriptions(damaged) == damaged


@pytest.mark.parametrize(
    ("behind", "metadata", "note"),
    [
        (bytes(5000), b"", None),
        (b"\n" * 40, b"", None),
        (jpeg(), b"", "Another picture behind the photo was left out"),
        (jpeg() + video(), b"hdr-gain-map", "A gain map and a video behind the photo were left out"),
        (b"0123456789" * 200, b"", "2,000 bytes behind the photo were left out"),
    ],
)
def test_notes(behind, metadata, note):
    found = trailer.describe(behind, metadata)
    assert found is None if note is None else found.startswith(note)


# ---- no end marker ----


def trailing(body: bytes, name: bytes = b"MotionPhoto_Data") -> bytes:
    """A Samsung trailer, which stands at once behind the scan of a panorama."""
    record = struct.pack("<HHI", 0, 0x0A30, len(name)) + name + body
    directory = b"SEFH" + struct.pack("<IIHHII", 106, 1, 0, 0x0A30, len(record), len(record))
    return record + directory + struct.pack("<I", len(directory)) + b"SEFT"


BEHIND = {
    "nothing": (b"", "what stood behind it"),
    "a video": (trailing(video()), "a video behind it"),
    "a picture": (trailing(jpeg(3), b"Panorama_Shot_Info"), "another picture behind it"),
    "bytes like segments": (trailing(bytes(90) + b"\xff\xe1\x20\0" + bytes(9000)), "what stood behind it"),
}


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
@pytest.mark.parametrize("kind", BEHIND)
def test_a_jpeg_without_its_end_marker_is_filled_and_gets_one(kind, options):
    out = io.BytesIO()
    scene = np.random.default_rng(7).integers(80, 160, (H, W, 3)).astype(np.uint8)
    Image.fromarray(scene).save(out, "JPEG", quality=95, **options)
    whole, (behind, what) = out.getvalue(), BEHIND[kind]
    if "progressive" in options and kind == "bytes like segments":
        return  # between the scans of a progressive file an APP1 segment is allowed
    data = whole[:-2] + behind
    photo = open_photo(data)
    np.testing.assert_array_equal(np.asarray(photo.raster), np.asarray(Image.open(io.BytesIO(whole))))
    expected = filled(whole)
    new = filled(data)
    assert new.data == expected.data and expected.notes == ()
    assert new.notes == (f"The JPEG had no end marker. It has one now, and {what} was left out.",)
    assert filled(data, ".png").data == filled(whole, ".png").data


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("cut", [6, 200, 1500])
def test_a_jpeg_whose_pixels_break_off_is_still_refused(options, cut):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(7).integers(0, 256, (H, W, 3)).astype(np.uint8)).save(out, "JPEG", **options)
    with pytest.raises(PhotoError, match="damaged or cut off"):
        open_photo(out.getvalue()[:-cut])
