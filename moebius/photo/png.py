"""PNG: read and written with its own bit depth, colour type and chunks (W3C PNG specification, third edition)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from moebius.photo import images
from moebius.photo.embedded_thumbnails import hide_pictures
from moebius.photo.limits import MAX_TEXT_BYTES
from moebius.photo.text_pictures import read_raw_profile, write_raw_profile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_SAFE = (b"pHYs", b"sPLT", b"eXIf", b"gIFg", b"gIFx", *_TEXT)
"""Chunks that are safe to copy and known."""
_MAX_UNKNOWN_BYTES = 4096
"""Unknown chunks of one name that are together longer may hold a picture."""
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_KEPT_UNSAFE = (
    *(b"IHDR", b"PLTE", b"IEND", b"bKGD", b"sBIT", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sRGB"),
    *(b"cICP", b"mDCV", b"cLLI", b"oFFs", b"pCAL", b"sCAL", b"sTER"),
)
"""Chunks that an editor may keep though their names do not say so; they do not depend on single pixels."""


@dataclass(frozen=True)
class Header:
    """What IHDR says."""

    width: int
    height: int
    depth: int
    colour: int

    def pack(self) -> bytes:
        """The content of the IHDR chunk."""
        return struct.pack(">IIBBBBB", self.width, self.height, self.depth, self.colour, 0, 0, 0)


def read_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """(name, content) of every chunk up to IEND, or to where the file breaks off or has a chunk without a name, behind
    which no decoder reads on. CRCs are left to the decoder."""
    chunks, at = [], len(SIGNATURE)
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if not name.isalpha():
            break
        chunks.append((name, data[at + 8 : at + 8 + length]))
        at += 12 + length
        if name == b"IEND":
            break
    return chunks


def join_chunks(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG file of these chunks, each with its length and checksum."""
    return SIGNATURE + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def read_header(data: bytes) -> Header:
    """What the IHDR chunk says. Raises ValueError where there is none."""
    return Header(*struct.unpack_from(">IIBB", data, 16))


def colour_key(data: bytes) -> tuple[int, ...] | None:
    """The one transparent colour of a PNG without an alpha channel or palette; None where there is none."""
    header = read_header(data)
    content = dict(read_chunks(data)).get(b"tRNS")
    if content is None or header.colour not in (GREY, RGB):
        return None
    return struct.unpack_from(f">{CHANNELS[header.colour]}H", content)


def read_16bit(data: bytes) -> np.ndarray:
    """A 16-bit PNG as (H, W, 1 to 4) uint16, which Pillow reads as 8 bits; a colour key gives no alpha here.

    Raises:
        ValueError: the decoder's, where the file is damaged.
    """
    import imagecodecs

    try:
        samples = imagecodecs.png_decode(data)
    except RuntimeError as error:  # PngError
        raise ValueError(str(error)) from error
    samples = samples.reshape(*samples.shape[:2], -1)
    return np.ascontiguousarray(samples[..., : CHANNELS[read_header(data).colour]])


def encode_png(
    data: bytes, before: Image.Image | np.ndarray, raster: Image.Image | np.ndarray, changed: np.ndarray
) -> tuple[bytes, tuple[str, ...]]:
    """The PNG `data` with the pixels of `raster`; depth, colour type and all chunks about the picture stay.

    Args:
        before: the picture in `data`, as stored.
        raster: the edited picture, of the same kind.
        changed: (H, W) bool, as stored.
    """
    header = read_header(data)
    notes: tuple[str, ...] = ()
    samples = _samples(raster, header).copy()
    if (key := colour_key(data)) is not None:
        _keep_opacity(samples, _samples(before, header), changed, key)
    preview = images.preview(raster)
    chunks_before: list[tuple[bytes, bytes]] = []
    chunks_after: list[tuple[bytes, bytes]] = []
    chunks = chunks_before
    every = read_chunks(data)
    for name, content in every:
        if name == b"IDAT":
            chunks = chunks_after
        elif name == b"IEND":
            break
        elif name == b"caBX":
            notes += ("Content credentials were left out: their signature does not hold for an edited photo.",)
        elif is_large_unknown(name, every):
            notes += (f"Private data ({name.decode('latin1')}), which may hold a picture, were left out.",)
        elif name not in _ANIMATION and (name[3:4].islower() or name in _KEPT_UNSAFE):
            content = header.pack() if name == b"IHDR" else content
            if name == b"eXIf":
                content = hide_pictures(content, preview)
            elif name in _TEXT:
                content = _hide_in_text(name, content, preview)
            elif name not in (*_SAFE, *_KEPT_UNSAFE):
                content = hide_pictures(content, preview)
            if content is None:
                notes += (f"Text of more than {MAX_TEXT_BYTES >> 20} MiB was left out: it may hold a picture.",)
                continue
            chunks.append((name, content))
    pixels = (b"IDAT", compress(samples, header))
    return join_chunks([*chunks_before, pixels, *chunks_after, (b"IEND", b"")]), tuple(dict.fromkeys(notes))


def is_large_unknown(name: bytes, chunks: list[tuple[bytes, bytes]]) -> bool:
    """Whether chunks of this name may hold a picture in a form that only their maker reads."""
    if name in _SAFE or name in _KEPT_UNSAFE or name in (b"IDAT", b"caBX", *_ANIMATION) or not name[3:4].islower():
        return False
    return sum(len(content) for other, content in chunks if other == name) > _MAX_UNKNOWN_BYTES


class TextTooLong(ValueError):
    """A text chunk that is longer, unpacked, than we look at."""


@dataclass(frozen=True)
class Text:
    """A text chunk taken apart."""

    head: bytes
    """What stands before the text: keyword, compression, language."""
    text: bytes
    """Unpacked."""
    packed: bool

    @property
    def keyword(self) -> bytes:
        return self.head.partition(b"\0")[0]


def read_text(name: bytes, content: bytes) -> Text | None:
    """A tEXt, zTXt or iTXt chunk; None where it is damaged. Raises TextTooLong."""
    keyword, _, rest = content.partition(b"\0")
    head, text = b"", rest
    if name == b"zTXt":
        head, text = rest[:1], rest[1:]
    elif name == b"iTXt":
        language, _, behind = rest[2:].partition(b"\0")
        translated, _, text = behind.partition(b"\0")
        head = rest[:2] + language + b"\0" + translated + b"\0"
    packed = name == b"zTXt" or (name == b"iTXt" and head[:1] == b"\1")
    if packed:
        inflate = zlib.decompressobj()
        try:
            text = inflate.decompress(text, MAX_TEXT_BYTES)
        except zlib.error:
            return None
        if inflate.unconsumed_tail:
            raise TextTooLong
    return Text(keyword + b"\0" + head, text, packed)


def _hide_in_text(name: bytes, content: bytes, preview: Image.Image) -> bytes | None:
    """A text chunk's content in which pictures show `preview` or are blank; None where it is too long to look at."""
    try:
        chunk = read_text(name, content)
    except TextTooLong:
        return None
    if chunk is None:
        return content  # damaged: nobody can read it
    text = chunk.text
    profile = read_raw_profile(text) if chunk.keyword.startswith(b"Raw profile type ") else None
    if profile:
        hidden = hide_pictures(profile[1], preview)
        new = text if hidden == profile[1] else write_raw_profile(profile[0], hidden)
    else:
        new = hide_pictures(text, preview)
    if new == text:
        return content
    return chunk.head + (zlib.compress(new) if chunk.packed else new)


def new_png(raster: np.ndarray, chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG of a 16-bit picture (H, W, 2 | 3 | 4) uint16, with further chunks (iCCP, eXIf, ...) before its data."""
    colour = {2: GREY_ALPHA, 3: RGB, 4: RGB_ALPHA}[raster.shape[2]]
    header = Header(raster.shape[1], raster.shape[0], 16, colour)
    data = compress(raster, header)
    return join_chunks([(b"IHDR", header.pack()), *chunks, (b"IDAT", data), (b"IEND", b"")])


def _keep_opacity(samples: np.ndarray, before: np.ndarray, changed: np.ndarray, key: tuple[int, ...]) -> None:
    """Where one colour, `key`, means transparent: keep what was so, and let nothing become so. In place.

    Args:
        samples, before: (H, W, C), the edited picture and the old one.
    """
    colour = np.array(key, samples.dtype)
    was, now = (before == colour).all(axis=2), (samples == colour).all(axis=2)
    samples[changed & now & ~was, -1] ^= 1  # the neighbouring level
    samples[changed & was] = colour


def compress(samples: np.ndarray, header: Header) -> bytes:
    """Filtered and deflated scan lines of samples (H, W, C), the content of IDAT.

    Each line takes the filter whose output has the smallest sum of magnitudes, as the specification advises;
    palette and low-depth pictures take none.
    """
    lines = _pack(samples, header)  # (H, bytes a line)
    step = max(1, CHANNELS[header.colour] * header.depth // 8)  # bytes to the pixel on the left
    plain = header.colour == PALETTE or header.depth < 8
    deflate, out = zlib.compressobj(6), []
    above = np.zeros_like(lines[:1])
    for top in range(0, len(lines), 256):
        some = lines[top : top + 256]
        filtered = _with_filter(0, some) if plain else _filter(some, np.vstack([above, some[:-1]]), step)
        out.append(deflate.compress(filtered.tobytes()))
        above = some[-1:]
    return b"".join([*out, deflate.flush()])


def _filter(lines: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """Scan lines (n, bytes) and those above them -> (n, 1 + bytes) with the filter's number in front."""
    left, corner = np.zeros_like(lines), np.zeros_like(lines)
    left[:, step:], corner[:, step:] = lines[:, :-step], above[:, :-step]
    a, b, c = left.astype(np.int16), above.astype(np.int16), corner.astype(np.int16)
    to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    paeth = np.where((to_a <= to_b) & (to_a <= to_c), left, np.where(to_b <= to_c, above, corner))
    average = ((a + b) >> 1).astype(np.uint8)
    best, cost = None, None
    for number, guess in ((1, left), (2, above), (3, average), (4, paeth)):
        residual = lines - guess  # modulo 256
        magnitude = np.minimum(residual, 0 - residual).sum(axis=1, dtype=np.int64)
        candidate = _with_filter(number, residual)
        if best is None:
            best, cost = candidate, magnitude
        else:
            better = magnitude < cost
            best[better], cost[better] = candidate[better], magnitude[better]
    return best


def _with_filter(number: int, lines: np.ndarray) -> np.ndarray:
    return np.pad(lines, ((0, 0), (1, 0)), constant_values=number)


def _samples(raster: Image.Image | np.ndarray, header: Header) -> np.ndarray:
    """The picture as (H, W, C) samples of the file's depth: 0 to 2^depth - 1, uint8 or uint16."""
    pixels = raster if isinstance(raster, np.ndarray) else np.asarray(raster)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    elif header.depth == 16:
        pixels = pixels.astype(np.uint16)  # native byte order
    elif header.colour == GREY and header.depth in (2, 4):  # Pillow spreads these over 0 to 255
        pixels = (pixels.astype(np.uint16) * (2**header.depth - 1) + 127) // 255
        pixels = pixels.astype(np.uint8)
    return np.ascontiguousarray(pixels).reshape(header.height, header.width, CHANNELS[header.colour])


def _pack(samples: np.ndarray, header: Header) -> np.ndarray:
    """Samples (H, W, C) -> scan lines (H, bytes) uint8: big-endian, several samples a byte below 8 bits."""
    if header.depth == 16:
        samples = samples.astype(">u2").view(np.uint8)
    lines = samples.reshape(header.height, -1)
    if header.depth >= 8:
        return lines
    per_byte = 8 // header.depth
    lines = np.pad(lines, ((0, 0), (0, -lines.shape[1] % per_byte)))
    groups = lines.reshape(header.height, -1, per_byte)
    shifts = np.arange(8 - header.depth, -1, -header.depth)
    return (groups << shifts).sum(axis=2).astype(np.uint8)
