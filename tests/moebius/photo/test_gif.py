"""GIF's application extensions stay: what Pillow does not know of is read here by a loop of its own."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from moebius.photo import gif, photo_file, privacy
from tests.helpers.deterministic import picture

PACKET = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:a="urn:a" a:b="%s"/>'
    b'</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
TRAILER = b"\1" + bytes(range(255, -1, -1)) + b"\0"
CHANGED = np.zeros((64, 64), bool)
CHANGED[20:40, 20:40] = True


def blocks(data: bytes) -> bytes:
    return b"".join(bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255)) + b"\0"


def extension(name: bytes, content: bytes) -> bytes:
    return b"!\xff\x0b" + name + (content + TRAILER if name == gif.XMP else blocks(content))


def with_extensions(*extensions: bytes) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture(1, 64)).quantize(64).save(out, "GIF", comment=b"hello")
    data = out.getvalue()
    at = 13 + (3 << (data[10] & 7) + 1)
    return data[:at] + b"".join(extensions) + data[at:]


def filled(data: bytes, suffix: str | None = None) -> photo_file.Encoded:
    photo = photo_file.open_photo(data)
    raster = photo.raster.copy()
    raster.paste(raster.getpixel((0, 0)), (20, 20, 40, 40))
    return photo_file.encode_photo(photo, raster, CHANGED, suffix)


def test_xmp_profile_comment_and_small_extensions_stay_byte_for_byte():
    xmp, profile = extension(gif.XMP, PACKET % b"kept"), extension(gif.PROFILE, bytes(range(256)) * 3)
    small = extension(b"ACMEnote1.0", b"a note")
    new = filled(with_extensions(xmp, profile, small))
    assert xmp + profile + small in new.data and new.notes == ()
    image = Image.open(io.BytesIO(new.data))
    image.load()
    assert image.info["comment"] == b"hello" and image.n_frames == 1
    assert gif.read_metadata(new.data) == (bytes(range(256)) * 3, PACKET % b"kept")


def test_pictures_are_blanked_and_what_may_hold_one_is_left_out_and_told():
    small = io.BytesIO()
    Image.fromarray(picture(1, 64)).resize((32, 32)).save(small, "JPEG")
    xmp = extension(gif.XMP, PACKET % base64.b64encode(small.getvalue()))
    data = with_extensions(xmp, extension(b"ACMEpict1.0", bytes(5000)), extension(b"C2PA_GIF\1\0\0", b"signed"))
    new = filled(data)
    assert [note.split(":")[0] for note in new.notes] == [
        "The extension ACMEpict1.0 was left out",
        "Content credentials (C2PA) were left out",
    ]
    packet = gif.read_metadata(new.data)[1]
    assert packet.startswith(b"<?xpacket begin") and b"/9j/" not in packet and b"ACMEpict" not in new.data
    photo = photo_file.open_photo(data)
    with pytest.raises(privacy.StillShown, match="the extension XMP DataXMP"):
        after = photo_file.open_photo(new.data).raster
        privacy.check(data, "GIF", photo.raster, after, CHANGED, 1)


def test_in_other_formats_they_go_where_there_is_a_place_for_them():
    profile = Image.open(io.BytesIO(with_extensions())).info.get("icc_profile")
    assert profile is None
    data = with_extensions(
        extension(gif.XMP, PACKET % b"kept"), extension(gif.PROFILE, b"\0" * 16 + b"RGB " + bytes(108))
    )
    png = Image.open(io.BytesIO(filled(data, ".png").data))
    assert "kept" in str(png.info.get("xmp")) and png.info["icc_profile"][16:20] == b"RGB "
    assert "XMP" in filled(data, ".bmp").notes[0]


def test_files_that_end_anywhere_are_read_as_far_as_they_go():
    data = with_extensions(extension(gif.XMP, PACKET % b"kept"), extension(gif.PROFILE, bytes(300)))
    assert all(len(gif.read_extensions(data[:length])) <= 2 for length in range(0, 1000, 7))
