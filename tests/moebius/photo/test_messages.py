"""Messages to and from the processes that decode: what goes in comes out, and nothing else gets through."""

import io
import json
import pickle
import struct

import numpy as np
import pytest
from PIL import Image

from moebius.photo import messages
from moebius.photo.errors import NotAPhotoError, PhotoError, TooLargeError
from moebius.photo.messages import BadMessage
from moebius.photo.photo_file import Encoded, Photo

GREY = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))


class Pipe(io.BytesIO):
    """Gives and takes few bytes at a time, as pipes do."""

    def write(self, data) -> int:
        return super().write(bytes(data[:7]))

    def readinto(self, view) -> int:
        return super().readinto(view[:5])


def sent(message) -> Pipe:
    pipe = Pipe()
    messages.send(pipe, message)
    pipe.seek(0)
    return pipe


def raw(text: bytes, *buffers: bytes, count: int | None = None) -> Pipe:
    sizes = struct.pack(f"<{len(buffers)}Q", *map(len, buffers))
    head = struct.pack("<II", len(text), len(buffers) if count is None else count)
    return Pipe(head + sizes + text + b"".join(buffers))


def through(message):
    return messages.receive(sent(message), 2**20)


def test_values_and_bytes_come_back():
    message = {"a": [1, None, "é\udcff"], "b": {"c": b"\0\xff"}, "d": np.arange(3, dtype=np.uint16)}
    back = through(message)
    assert back == {"a": [1, None, "é\udcff"], "b": {"c": b"\0\xff"}, "d": b"\0\0\1\0\2\0"}


@pytest.mark.parametrize(
    "pipe",
    [
        raw(pickle.dumps({"a": 1})),
        raw(b"[1]"),
        raw(b"{" * 10),
        raw(b"[" * 100_000),
        raw(b'{"a": {"buffer": 3}}', b"x"),
        raw(b'{"a": {"buffer": "0"}}', b"x"),
        raw(b"{}", bytes(101)),
        raw(b"{}", count=9),
        Pipe(struct.pack("<II", 2**21, 0)),
    ],
    ids=["pickle", "list", "broken", "deep", "no such buffer", "no number", "too large", "too many", "too long"],
)
def test_what_is_no_message_is_refused_before_it_is_read(pipe):
    with pytest.raises(BadMessage):
        messages.receive(pipe, 100)


def test_the_end_is_an_end():
    with pytest.raises(EOFError):
        messages.receive(Pipe(sent({"a": b"long"}).getvalue()[:-1]))


def picture(mode: str) -> Image.Image:
    image = Image.frombytes(mode, (3, 2), bytes(range(6 * 4))[: len(Image.new(mode, (3, 2)).tobytes())])
    if mode == "P":
        image.putpalette(bytes(range(48)))
    return image


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I;16B"])
@pytest.mark.parametrize("transparency", [None, 3, (1, 2, 3), bytes(300)])
def test_a_picture_comes_back(mode, transparency):
    image = picture(mode)
    image.info = {"icc_profile": b"profile"} | ({} if transparency is None else {"transparency": transparency})
    back = messages.to_raster(through(messages.from_raster(image)), 6)
    assert (back.mode, back.size, back.info, back.tobytes()) == (mode, (3, 2), image.info, image.tobytes())
    assert back.getpalette() == image.getpalette()


def test_sixteen_bits_a_mask_a_photo_and_a_file_come_back():
    deep = np.arange(24, dtype=np.uint16).reshape(2, 3, 4) * 1000
    np.testing.assert_array_equal(messages.to_raster(through(messages.from_raster(deep)), 6), deep)
    mask = np.arange(15).reshape(3, 5) % 4 == 0
    np.testing.assert_array_equal(messages.to_mask(through(messages.from_mask(mask)), 15), mask)
    photo = Photo(raster=GREY, format="PNG", data=b"file", orientation=6, name="a.png", notes=("one",))
    back = messages.to_photo(through(messages.from_photo(photo)), b"file", "a.png", 12)
    assert (back.format, back.data, back.orientation, back.name, back.notes) == ("PNG", b"file", 6, "a.png", ("one",))
    encoded = Encoded(data=b"file", format="JPEG", notes=("one", "two"))
    assert messages.to_encoded(through(messages.from_encoded(encoded))) == encoded


def test_errors_come_back_as_they_were_and_unknown_ones_with_their_names():
    special = (TooLargeError("200 megapixels"), NotAPhotoError("a PDF"), PhotoError("damaged"))
    for error in (*special, ValueError("no"), RuntimeError("odd"), OSError(28, "No space left")):
        back = messages.to_error(through(messages.from_error(error)))
        assert (type(back), str(back), getattr(back, "errno", None)) == (
            type(error),
            str(error),
            getattr(error, "errno", None),
        )
    assert str(messages.to_error(messages.from_error(KeyError("a")))) == "KeyError: 'a'"
    for bad in ({}, {"error": "SystemExit", "text": ""}, {"error": "ValueError", "text": 1}):
        with pytest.raises(BadMessage):
            messages.to_error(bad)


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "F"},
        {"mode": []},
        {"mode": "uint16", "channels": 9},
        {"mode": "uint16", "channels": 2},
        {"size": [4]},
        {"size": [4, -3]},
        {"size": [4.0, 3]},
        {"size": [2**40, 2**40]},
        {"size": [4, 4]},
        {"size": [4, 2]},
        {"pixels": "text"},
        {"pixels": None},
        {"palette": ["L", bytearray(2)]},
        {"palette": ["RGB", "text"]},
        {"profile": "text"},
        {"transparency": {"a": 1}},
        {"transparency": [1, 2]},
        {"transparency": 2**40},
    ],
    ids=str,
)
def test_pictures_that_are_none_are_refused(change):
    good = through(messages.from_raster(GREY))
    messages.to_raster(good, 12)
    with pytest.raises(BadMessage):
        messages.to_raster(good | change, 12)
    with pytest.raises(BadMessage):
        messages.to_raster(good, 11)


@pytest.mark.parametrize(
    "change", [{"format": "EXE"}, {"orientation": 9}, {"orientation": True}, {"notes": [1]}], ids=str
)
def test_photos_files_and_masks_that_are_none_are_refused(change):
    photo = Photo(raster=GREY, format="PNG", data=b"", orientation=1, name="a")
    good = through(messages.from_photo(photo))
    with pytest.raises(BadMessage):
        messages.to_photo(good | change, b"", "a", 12)
    with pytest.raises(BadMessage):
        messages.to_encoded({"data": "text", "format": "PNG", "notes": []} | change)
    with pytest.raises(BadMessage):
        messages.to_mask({"shape": [3, 4], "bits": bytearray(1)}, 12)


def test_a_message_holds_no_more_than_json_can_say():
    with pytest.raises(TypeError):
        messages.send(Pipe(), {"a": object()})
    assert json.loads(sent({"a": b"x"}).getvalue()[16:-1]) == {"a": {"buffer": 0}}
