"""Colours named by CICP numbers: kept where the format has them, else an ICC profile or a note."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from moebius.photo import cicp, png
from moebius.photo.cicp import Cicp
from moebius.photo.photo_file import encode_photo, open_photo

P3, HDR = Cicp(12, 13), Cicp(9, 16)
H, W = 48, 64


def picture() -> Image.Image:
    y, x = np.mgrid[:H, :W]
    return Image.fromarray(np.stack([x * 3, y * 4, 255 - x * 3], -1).astype(np.uint8))


def make(kind: str, colours: Cicp) -> bytes:
    out = io.BytesIO()
    options = {}
    if kind == "HEIF":
        options = {"color_primaries": colours[0], "transfer_characteristics": colours[1], "matrix_coefficients": 6}
        options |= {"full_range_flag": 1, "chroma": 444}
    picture().save(out, kind, **({"quality": 95, **options} if kind != "PNG" else {}))
    data = out.getvalue()
    if kind == "AVIF":
        at = data.index(b"colrnclx") + 8
        data = data[:at] + struct.pack(">HH", *colours) + data[at + 4 :]
    if kind == "PNG":
        chunks = png.read_chunks(data)
        data = png.join_chunks([chunks[0], (b"cICP", bytes((*colours, 0, 1))), *chunks[1:]])
    return data


def filled(data: bytes, suffix: str | None):
    photo, changed = open_photo(data), np.zeros((H, W), bool)
    changed[:8, :8] = True
    return encode_photo(photo, photo.raster, changed, suffix)


def test_display_p3_has_the_primaries_that_apple_publishes():
    """Display P3.icc: XYZ of red, green and blue adapted to D50."""
    apple = [(0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)]
    profile = ImageCms.ImageCmsProfile(io.BytesIO(cicp.make_profile(P3))).profile
    mine = [profile.red_colorant[0], profile.green_colorant[0], profile.blue_colorant[0]]
    np.testing.assert_allclose(mine, apple, atol=3e-4)


@pytest.mark.parametrize("transfer", [13, 1, 4, 8])
def test_srgb_primaries_give_lcms_its_own_srgb(transfer):
    """Through littleCMS to its own sRGB: with the sRGB curve nothing changes, with others the grey is the formula's."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(cicp.make_profile(Cicp(1, transfer))))
    new = np.asarray(ImageCms.profileToProfile(picture(), profile, ImageCms.createProfile("sRGB"))).astype(int)
    if transfer == 13:
        assert abs(new - np.asarray(picture())).max() <= 1
    grey = ImageCms.profileToProfile(Image.new("RGB", (4, 4), (128, 128, 128)), profile, ImageCms.createProfile("sRGB"))
    linear = {13: 0.21586, 1: ((128 / 255 + 0.099) / 1.099) ** (1 / 0.45), 4: (128 / 255) ** 2.2, 8: 128 / 255}[
        transfer
    ]
    assert abs(np.asarray(grey)[0, 0] - 255 * (1.055 * linear ** (1 / 2.4) - 0.055)).max() <= 1.5


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp", ".png", ".avif", ".heic"])
@pytest.mark.parametrize("kind", ["HEIF", "PNG", "AVIF"])
def test_conversions_keep_display_p3(kind, suffix):
    new = filled(make(kind, P3), suffix)
    info = Image.open(io.BytesIO(new.data)).info
    if suffix in (".avif", ".heic") or (kind == "PNG" and suffix == ".png"):
        written = {".avif": "AVIF", ".heic": "HEIF", ".png": "PNG"}[suffix]
        assert cicp.read_cicp(new.data, written, info) == P3
    else:
        assert info["icc_profile"] == cicp.make_profile(P3)
    assert not any("colours" in note for note in new.notes)


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp"])
def test_hdr_colours_are_reported_where_no_profile_can_name_them(suffix):
    assert any("colours are PQ" in note for note in filled(make("AVIF", HDR), suffix).notes)


def test_an_avif_keeps_its_own_colours():
    for colours in (P3, HDR):
        new = filled(make("AVIF", colours), None)
        assert cicp.read_cicp(new.data, "AVIF", {}) == colours


def test_srgb_files_get_no_profile():
    for kind in ("HEIF", "PNG", "AVIF"):
        assert "icc_profile" not in Image.open(io.BytesIO(filled(make(kind, Cicp(1, 13)), ".jpg").data)).info


def test_10_bits_of_an_avif_are_reported():
    data = make("AVIF", P3)
    assert cicp.avif_depth(data) == 8 and open_photo(data).notes == ()
    at = data.index(b"av1C") + 6
    assert cicp.avif_depth(data[:at] + bytes([data[at] | 0x40]) + data[at + 1 :]) == 10
    assert cicp.avif_depth(data[:at] + bytes([data[at] | 0x60]) + data[at + 1 :]) == 12
