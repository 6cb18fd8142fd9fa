"""The mark of an edited picture, in every format that can hold one: Pillow reads it, and nothing else changed."""

import io
import json
import struct
import zlib
from xml.etree import ElementTree

import jpeglib
import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from moebius.__main__ import main
from moebius.photo import ai_mark, jpeg_segments, photo_file, png
from moebius.photo.xmp import IPTC_EXT, RDF
from tests.helpers.deterministic import picture

KINDS = ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIF")
MAKER = "Maker & Söhne"
PACKET = f"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="{RDF}">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:n="http://ns.adobe.com/xmp/note/"
 n:HasExtendedXMP="0123456789ABCDEF0123456789ABCDEF"><dc:rights>Zoë</dc:rights></rdf:Description></rdf:RDF></x:xmpmeta>
{" " * 100}<?xpacket end="w"?>""".encode()
PICTURE = Image.fromarray(picture(3, 64))


def encoded(kind: str, packet: bytes | None) -> bytes:
    out, options = io.BytesIO(), {}
    if kind == "PNG" and packet:
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", packet.decode(errors="surrogateescape"))
    elif kind == "TIFF":
        options["tiffinfo"] = {271: MAKER} | ({700: packet} if packet else {})
    elif packet:
        options["xmp"] = packet
    PICTURE.save(out, kind, **options)
    return out.getvalue()


def edit(data: bytes, mark: str | None, suffix: str | None = None) -> photo_file.Encoded:
    """With the square from (16, 16) to (32, 32) painted red."""
    photo = photo_file.open_photo(data, "photo")
    raster, changed = photo.raster.copy(), np.zeros((64, 64), bool)
    changed[16:32, 16:32] = True
    raster.paste("red" if raster.mode == "RGB" else 1, (16, 16, 32, 32))
    return photo_file.encode_photo(photo, raster, changed, suffix, mark)


def packet_in(data: bytes) -> bytes | None:
    """As Pillow finds it."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image.info.get("xmp")


def properties(packet: bytes) -> dict[str, str]:
    """Simple properties of the picture by name, read by ElementTree."""
    root = ElementTree.fromstring(packet.strip(b"\0").decode())
    return {p.tag.rpartition("}")[2]: p.text for d in root.iter(f"{{{RDF}}}Description") for p in d}


@pytest.mark.parametrize("before", [None, PACKET], ids=["no XMP", "XMP"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_mark_is_read_back_and_what_was_there_stays(kind, before):
    done = edit(encoded(kind, before), ai_mark.TRAINED)
    found = properties(packet_in(done.data))
    assert found["DigitalSourceType"] == ai_mark.TRAINED and not any("mark" in note for note in done.notes)
    if before:
        assert found["rights"] == "Zoë" and b"HasExtendedXMP" in packet_in(done.data)
    assert packet_in(edit(encoded(kind, None), None).data) is None
    again = edit(done.data, ai_mark.NOT_TRAINED)
    assert properties(packet_in(again.data))["DigitalSourceType"] == ai_mark.NOT_TRAINED
    assert packet_in(again.data).count(b"<Iptc4xmpExt:DigitalSourceType>") == 1


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".avif", ".heic"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_mark_in_another_format(kind, suffix):
    done = edit(encoded(kind, PACKET), ai_mark.TRAINED, suffix)
    found = properties(packet_in(done.data))
    assert found["DigitalSourceType"] == ai_mark.TRAINED and found["rights"] == "Zoë"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", [None, PACKET], ids=["no XMP", "XMP"])
def test_pixels_and_all_else_are_as_without_the_mark(kind, before):
    data = encoded(kind, before)
    plain, marked = edit(data, None).data, edit(data, ai_mark.TRAINED).data
    with Image.open(io.BytesIO(plain)) as one, Image.open(io.BytesIO(marked)) as two:
        assert np.array_equal(np.asarray(one), np.asarray(two))
        assert {k: v for k, v in one.info.items() if "xmp" not in k.lower()} == {
            k: v for k, v in two.info.items() if "xmp" not in k.lower()
        }
    if kind == "JPEG":  # the very same segments
        is_xmp = b"http://ns.adobe.com/xap/1.0/\0"
        one, two = (
            [s.raw for s in jpeg_segments.read_segments(file)[0] if not s.payload.startswith(is_xmp)]
            for file in (plain, marked)
        )
        assert one == two
    if kind == "PNG":
        one, two = ([c for c in png.read_chunks(d) if c[0] != b"iTXt"] for d in (plain, marked))
        assert one == two


def test_untouched_blocks_of_a_marked_jpeg_keep_their_coefficients(tmp_path):
    data = encoded("JPEG", PACKET)
    files = {"before.jpg": data, "after.jpg": edit(data, ai_mark.TRAINED).data}
    planes = []
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        planes.append(jpeglib.read_dct(str(tmp_path / name)).Y)
    differs = (planes[0] != planes[1]).any(axis=(2, 3))
    assert differs[2:4, 2:4].all() and differs.sum() == 4


def test_jpeg_segments_stand_where_they_belong():
    exif = Image.Exif()
    exif[271] = MAKER
    out = io.BytesIO()
    PICTURE.save(out, "JPEG", exif=exif, icc_profile=b"profile", comment=b"hello")
    extended = (
        b"\xff\xe1" + struct.pack(">H", 2 + 75 + 4) + b"http://ns.adobe.com/xmp/extension/\0".ljust(75, b"0") + b"rest"
    )
    data = out.getvalue().replace(b"\xff\xfe", extended + b"\xff\xfe", 1)
    segments, _ = jpeg_segments.read_segments(ai_mark.add(data, "JPEG", ai_mark.TRAINED)[0])
    starts = [s.payload[:5] for s in segments if s.is_metadata]
    assert starts.index(b"Exif\0") < starts.index(b"http:") < starts.index(b"ICC_P")
    assert extended in ai_mark.add(data, "JPEG", ai_mark.TRAINED)[0]  # extended XMP is left alone


def test_a_compressed_png_packet_and_a_bomb():
    def with_chunk(text: bytes) -> bytes:
        chunks = png.read_chunks(encoded("PNG", None))
        content = b"XML:com.adobe.xmp\0\1\0en\0keyword\0" + zlib.compress(text)
        return png.join_chunks([chunks[0], (b"iTXt", content), *chunks[1:]])

    data, notes = ai_mark.add(with_chunk(PACKET), "PNG", ai_mark.TRAINED)
    assert properties(packet_in(data))["rights"] == "Zoë" and notes == ()
    bomb = with_chunk(PACKET + b" " * 40_000_000)
    assert ai_mark.add(bomb, "PNG", ai_mark.TRAINED)[0] == bomb


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_tiffs_of_every_layout_keep_their_tags_and_pages(byteorder, bigtiff, tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, byteorder=byteorder, bigtiff=bigtiff) as file:
        file.write(picture(1, 32), photometric="rgb", rowsperstrip=8, software="me", metadata=None)
        file.write(picture(2, 32), photometric="rgb", metadata=None)
    for mark in (ai_mark.TRAINED, ai_mark.NOT_TRAINED):
        data, notes = ai_mark.add(path.read_bytes(), "TIFF", mark)
        path.write_bytes(data)
        with tifffile.TiffFile(path) as file:
            assert len(file.pages) == 2 and file.pages[0].software == "me" and notes == ()
            assert properties(bytes(file.pages[0].tags[700].value))["DigitalSourceType"] == mark
            assert np.array_equal(file.pages[0].asarray(), picture(1, 32))
            assert np.array_equal(file.pages[1].asarray(), picture(2, 32))


def test_damaged_xmp_is_left_alone_and_told():
    for kind in KINDS:
        for broken in (PACKET[:200], b"<!DOCTYPE a [<!ENTITY b 'b'>]>" + PACKET):
            done = edit(encoded(kind, broken), ai_mark.TRAINED)
            assert packet_in(done.data).strip(b"\0") == broken
            assert any(note.startswith("The picture carries no mark") for note in done.notes)
    full = PACKET.replace(b"Zo", b"Z" * (65_500 - len(PACKET) + 2)).replace(b" " * 100, b"")
    done = edit(encoded("JPEG", full + b" " * (65_504 - len(full) - 1)), ai_mark.TRAINED)
    assert any("no mark" in note for note in done.notes)


def test_formats_without_xmp_say_so_and_unchanged_photos_are_never_marked():
    for kind in ("BMP", "GIF"):
        assert any(
            f"{kind} files hold no XMP here" in note for note in edit(encoded(kind, None), ai_mark.TRAINED).notes
        )
    data = encoded("JPEG", None)
    photo = photo_file.open_photo(data)
    nothing = np.zeros((64, 64), bool)
    assert photo_file.encode_photo(photo, photo.raster, nothing, mark=ai_mark.TRAINED).data == data
    converted = photo_file.encode_photo(photo, photo.raster, nothing, ".png", ai_mark.TRAINED).data
    assert packet_in(converted) is None


@pytest.mark.parametrize("command", ["inpaint", "batch"])
def test_the_command_line_marks_when_told(command, tmp_path, monkeypatch, capfd):
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG", PACKET))
    hole = Image.new("L", (64, 64))
    hole.paste(255, (20, 20, 30, 30))
    hole.save(tmp_path / "a_mask.png")
    for turn, (flags, environment, marked) in enumerate(
        (([], "", False), (["--mark"], "", True), ([], "1", True), (["--no-mark"], "1", False))
    ):
        monkeypatch.setenv("MOEBIUS_MARK", environment)
        out = tmp_path / f"out{turn}"
        out.mkdir()
        photo = tmp_path / "a.jpg"
        given = (
            [photo, tmp_path / "a_mask.png"] if command == "inpaint" else [photo, "--masks", tmp_path / "a_mask.png"]
        )
        arguments = [command, *given, "-o", out, "--model", "classical", "--json", *flags]
        assert main([str(argument) for argument in arguments]) == 0
        assert json.loads(capfd.readouterr().out)["mark"] == (ai_mark.NOT_TRAINED if marked else None)
        found = properties(packet_in((out / "a.jpg").read_bytes())).get("DigitalSourceType")
        assert found == (ai_mark.NOT_TRAINED if marked else None)
    monkeypatch.setenv("MOEBIUS_MARK", "perhaps")
    assert main([str(argument) for argument in arguments[:-1]]) == 2
    assert "MOEBIUS_MARK must be 1 or 0" in capfd.readouterr().err


def test_the_words_of_a_mark(monkeypatch):
    monkeypatch.delenv("MOEBIUS_MARK", raising=False)
    assert ai_mark.chosen(learned=True) is None
    monkeypatch.setenv("MOEBIUS_MARK", "1")
    assert ai_mark.chosen(learned=True) == ai_mark.TRAINED and ai_mark.chosen(learned=False) == ai_mark.NOT_TRAINED
    assert ai_mark.mark_of(learned=True).endswith("/compositeWithTrainedAlgorithmicMedia")
    assert ai_mark.mark_of(learned=False).endswith("/humanEdits")
    assert f"{{{IPTC_EXT}}}" == "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"


def test_of_a_tag_that_a_tiff_has_twice_the_first_stays():
    """Decoders take the first; the one of strips decides whether the picture can be read."""
    out = io.BytesIO()
    tifffile.imwrite(out, picture(3, 64), photometric="rgb", rowsperstrip=16)
    data = bytearray(out.getvalue())
    resolution = data.index(struct.pack("<HHI", 296, 3, 1))
    struct.pack_into("<HHII", data, resolution, 273, 3, 1, 1)
    marked, _ = ai_mark.add(bytes(data), "TIFF", ai_mark.mark_of(True))
    np.testing.assert_array_equal(np.asarray(photo_file.open_photo(marked).raster), picture(3, 64))
