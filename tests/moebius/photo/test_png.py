import base64
import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from moebius.photo import png
from moebius.photo.file_parts import read_parts
from moebius.photo.photo_file import encode_photo, open_photo

W, H = 61, 43  # no multiple of 8, so that the last byte of low-depth lines is not full


def rng() -> np.random.Generator:
    """A generator of its own for every caller, so that no test depends on those that ran before."""
    return np.random.default_rng(2)


def make(depth: int, colour: int, extra: list[tuple[bytes, bytes]] = (), interlace: bool = False) -> bytes:
    """A PNG of noise in any depth and colour type, unfiltered, written here by the book."""
    channels = png.CHANNELS[colour]
    samples = rng().integers(0, 2**depth, (H, W * channels))
    if depth == 16:
        lines = samples.astype(">u2").view(np.uint8).reshape(H, -1)
    else:
        bits = (samples[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        lines = np.packbits(bits.reshape(H, -1).astype(np.uint8), axis=1)
    data = zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", W, H, depth, colour, 0, 0, 0))]
    if colour == png.PALETTE:
        chunks.append((b"PLTE", rng().integers(0, 256, 3 * 2**depth, np.uint8).tobytes()))
    return png.join_chunks([*chunks, *extra, (b"IDAT", data[:100]), (b"IDAT", data[100:]), (b"IEND", b"")])


def edit(data: bytes):
    """Invert the colours of a box: the photo, `changed`, the new file."""
    from moebius.photo import images

    photo = open_photo(data)
    changed = np.zeros((H, W), bool)
    changed[10:20, 7:30] = True
    rgb = images.to_rgb(photo.raster)
    rgb[changed] = np.iinfo(rgb.dtype).max - rgb[changed]
    edited = images.put_back(photo.raster, rgb, changed)
    return photo, changed, encode_photo(photo, edited, changed), edited


def samples(data: bytes) -> np.ndarray:
    """Samples as libpng decodes them, through imagecodecs (palettes: indices, through Pillow)."""
    header = png.read_header(data)
    if header.colour == png.PALETTE or header.depth < 8:
        return np.asarray(Image.open(io.BytesIO(data)))
    return imagecodecs.png_decode(data)


KINDS = [(d, png.GREY) for d in (1, 2, 4, 8, 16)] + [(d, png.PALETTE) for d in (1, 2, 4, 8)]
KINDS += [(d, c) for d in (8, 16) for c in (png.RGB, png.GREY_ALPHA, png.RGB_ALPHA)]


@pytest.mark.parametrize(("depth", "colour"), KINDS)
def test_depth_and_colour_type_stay_and_only_changed_pixels_differ(depth, colour):
    data = make(depth, colour)
    photo, changed, encoded, edited = edit(data)
    assert encoded.format == "PNG" and encoded.notes == ()
    assert png.read_header(encoded.data) == png.read_header(data)
    before, after = samples(data), samples(encoded.data)
    np.testing.assert_array_equal(after[~changed], before[~changed])
    assert (after[changed] != before[changed]).mean() > 0.3
    again = open_photo(encoded.data).raster
    if depth == 16:
        np.testing.assert_array_equal(np.asarray(again), np.asarray(edited))
        assert np.asarray(photo.raster).dtype.itemsize == 2
    elif depth == 8:
        assert again.mode == edited.mode
        np.testing.assert_array_equal(np.asarray(again), np.asarray(edited))
    if colour in (png.GREY_ALPHA, png.RGB_ALPHA):
        np.testing.assert_array_equal(after[..., -1], before[..., -1])


def test_16_bits_are_read_as_16_bits():
    data = make(16, png.RGB)
    np.testing.assert_array_equal(open_photo(data).raster, imagecodecs.png_decode(data))
    grey = open_photo(make(16, png.GREY)).raster
    assert grey.mode == "I;16" and np.asarray(grey).max() > 60000
    assert open_photo(make(16, png.GREY_ALPHA)).raster.shape == (H, W, 2)


def test_chunks_are_kept_verbatim_and_in_order():
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0"
    extra = [
        (b"gAMA", struct.pack(">I", 45455)),
        (b"cHRM", struct.pack(">8I", *range(31270, 31278))),
        (b"sBIT", b"\x07\x07\x07"),
        (b"pHYs", struct.pack(">IIB", 11811, 11811, 1)),
        (b"tEXt", b"Author\0Someone"),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta/>"),
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"long text")),
        (b"eXIf", exif),
        (b"prVt", b"safe to copy, whatever it is"),
    ]
    data = make(8, png.RGB, extra)
    *rest, end = png.read_chunks(data)
    data = png.join_chunks([*rest, (b"tIME", b"\x07\xea\x01\x02\x03\x04\x05"), (b"tEXt", b"Title\0End"), end])
    _, _, encoded, _ = edit(data)
    chunks = png.read_chunks(encoded.data)
    assert chunks[1:-3] == extra
    # the time of the last change (tIME) would no longer be true
    assert [name for name, _ in chunks[-3:]] == [b"IDAT", b"tEXt", b"IEND"]
    before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(encoded.data))
    before.load(), after.load()
    assert after.info == before.info and after.text == before.text


def test_chunks_that_no_longer_hold_are_dropped():
    data = make(8, png.RGB, [(b"caBX", b"c2pa"), (b"prVT", b"depends on the pixels"), (b"acTL", bytes(8))])
    _, _, encoded, _ = edit(data)
    assert {n for n, _ in png.read_chunks(encoded.data)} == {b"IHDR", b"IDAT", b"IEND"}
    assert "credentials" in encoded.notes[0]


def test_what_no_decoder_reads_stays_unread():
    """Behind a chunk without a name decoders stop: the orientation there is not the photo's."""
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    *rest, end = png.read_chunks(make(8, png.RGB))
    photo, _, encoded, _ = edit(png.join_chunks([*rest, (b"\xda\0\x0c\3", b"?"), (b"eXIf", exif), end]))
    assert photo.orientation == open_photo(encoded.data).orientation == 1
    assert [name for name, _ in png.read_chunks(encoded.data)] == [b"IHDR", b"IDAT", b"IEND"]


def test_private_chunks_show_nothing_of_before():
    """Skitch, for one, keeps the picture without its drawings in a chunk that is safe to copy by its name."""
    picture, small = io.BytesIO(), Image.new("RGB", (40, 30), (250, 0, 220))
    small.save(picture, "JPEG", quality=95)
    data = make(8, png.RGB, [(b"skRf", bytes(5000)), (b"prVt", b"before" + picture.getvalue() + b"behind")])
    _, _, encoded, _ = edit(data)
    chunks = dict(png.read_chunks(encoded.data))
    assert b"skRf" not in chunks and encoded.notes == ("Private data (skRf), which may hold a picture, were left out.",)
    kept = chunks[b"prVt"]
    assert len(kept) == len(picture.getvalue()) + 12 and kept.startswith(b"before") and kept.endswith(b"behind")
    shown = np.asarray(Image.open(io.BytesIO(kept[6:-6]))).astype(int)
    assert (abs(shown - (250, 0, 220)).sum(axis=2) > 60).any()
    parts = {part.name: part.is_opaque for part in read_parts(data, "PNG")}
    assert parts["a skRf chunk"] and not parts["a prVt chunk"]


def test_icc_profile_survives():
    profile = zlib.compress(b"any profile at all" * 10)
    data = make(8, png.RGB, [(b"iCCP", b"name\0\0" + profile)])
    _, _, encoded, _ = edit(data)
    assert dict(png.read_chunks(encoded.data))[b"iCCP"] == b"name\0\0" + profile


def test_interlaced_files_are_read():
    image = Image.fromarray(rng().integers(0, 256, (H, W, 3), np.uint8))
    data = imagecodecs.png_encode(np.asarray(image))
    plain = open_photo(data)
    np.testing.assert_array_equal(np.asarray(plain.raster), np.asarray(image))
    header = bytearray(dict(png.read_chunks(data))[b"IHDR"])
    assert png.Header(W, H, 8, png.RGB).pack() == bytes(header)  # what we write is never interlaced


@pytest.mark.parametrize(
    ("depth", "colour", "key"), [(8, png.GREY, (7,)), (16, png.RGB, (1, 2, 3)), (2, png.GREY, (1,))]
)
def test_the_transparent_colour_stays_where_it_was(depth, colour, key):
    content = struct.pack(f">{len(key)}H", *key)
    data = make(depth, colour, [(b"tRNS", content)])
    photo = open_photo(data)
    changed = np.ones((H, W), bool)
    raster = photo.raster
    value = key if len(key) > 1 else key[0] * 255 // 3 if depth == 2 else key[0]  # Pillow shows 2 bits as 0 to 255
    if isinstance(raster, np.ndarray):
        edited = np.broadcast_to(np.array(value, np.uint16), raster.shape).copy()
        was = (raster == np.array(key)).all(axis=2)
    else:
        edited = Image.new("L", raster.size, value)
        was = np.asarray(raster) == value
    edited_file = encode_photo(photo, edited, changed).data
    now = samples(edited_file)
    now = now[..., : len(key)] if now.ndim == 3 and len(key) > 1 else now.reshape(H, W, -1)[..., 0]
    transparent = (now == np.array(value)).all(axis=2) if now.ndim == 3 else now == value
    np.testing.assert_array_equal(transparent, was)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_new_16_bit_files(channels):
    array = rng().integers(0, 65536, (H, W, channels)).astype(np.uint16)
    np.testing.assert_array_equal(imagecodecs.png_decode(png.new_png(array, [])), array)


def test_filters_compress_a_smooth_picture_as_well_as_pillow_does():
    y, x = np.mgrid[:300, :400]
    image = Image.fromarray(np.stack([x // 2, y // 2, (x + y) // 3], axis=2).astype(np.uint8))
    theirs = io.BytesIO()
    image.save(theirs, "PNG")
    ours, _ = png.encode_png(theirs.getvalue(), image, image, np.ones((300, 400), bool))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(ours))), np.asarray(image))
    assert len(ours) < 1.1 * theirs.tell()


# ---- pictures in text ----


def jpeg(value: int) -> bytes:
    out = io.BytesIO()
    noise = rng().integers(0, 20, (60, 80)).astype(np.uint8)
    Image.fromarray(noise + np.uint8(value)).save(out, "JPEG", quality=90)
    return out.getvalue()


def raw_profile() -> bytes:
    digits = (b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + jpeg(40) + b"behind").hex().encode()
    count = len(digits) // 2
    return b"\nexif\n%8d\n" % count + b"\n".join(digits[i : i + 72] for i in range(0, len(digits), 72)) + b"\n"


def xmp(old: bool = False) -> bytes:
    packet = b"<rdf:RDF><a>%b</a><b>kept</b></rdf:RDF>" % base64.b64encode(jpeg(40))
    return packet if old else b"<x:xmpmeta>" + packet + b"</x:xmpmeta>"


TEXTS = {
    "raw profile": (b"tEXt", b"Raw profile type APP1\0" + raw_profile()),
    "compressed raw profile": (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw_profile())),
    "XMP": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp()),
    "compressed XMP": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp())),
    "XMP without a wrapper": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(old=True)),
    "any text": (b"zTXt", b"Thumbnail\0\0" + zlib.compress(base64.b64encode(jpeg(40)))),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_pictures_in_text_chunks_show_the_new_picture_or_nothing(kind):
    name, content = TEXTS[kind]
    after = dict(png.read_chunks(edit(make(8, png.RGB, [(name, content)]))[2].data))[name]
    keyword = content.split(b"\0")[0] + b"\0"
    assert after.startswith(keyword)
    head = len(keyword) + {b"tEXt": 0, b"zTXt": 1, b"iTXt": 4}[name]
    packed = name == b"zTXt" or content[len(keyword)] == 1
    old, new = (zlib.decompress(text[head:]) if packed else text[head:] for text in (content, after))
    assert len(new) == len(old)
    if "profile" in kind:
        old, new = (bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode()) for text in (old, new))
        assert new[:20] == old[:20] and new.endswith(b"behind")
        small = Image.open(io.BytesIO(new[20:]))
        assert small.size == (80, 60) and not any(old[i : i + 40] in new for i in range(700, len(old) - 46, 40))
    else:
        assert new == old.replace(base64.b64encode(jpeg(40)), b" " * len(base64.b64encode(jpeg(40))))


def test_text_without_pictures_stays_byte_for_byte():
    texts = [(b"tEXt", b"Comment\0hello"), (b"zTXt", b"Long\0\0" + zlib.compress(b"words " * 3000, 1))]
    texts.append((b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<x:xmpmeta/>", 0)))
    texts.append((b"zTXt", b"Damaged\0\0no zlib"))
    chunks = png.read_chunks(edit(make(8, png.RGB, texts))[2].data)
    assert [chunk for chunk in chunks if chunk[0] in (b"tEXt", b"zTXt", b"iTXt")] == texts
