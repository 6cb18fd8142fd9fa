"""The plug-in for GIMP 3, with a stand-in of GIMP's interface: what is sent, and where the layer comes to lie."""

import base64
import http.server
import importlib.util
import io
import json
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

SOURCE = Path(__file__).parents[2] / "plugins" / "gimp" / "moebius_inpaint" / "moebius_inpaint.py"
SIZE, SELECTED = (900, 700), (400, 10, 430, 50)
BOX = (144, 0, 686, 306)


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("moebius_inpaint", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def plugin() -> ModuleType:
    return load()


class Buffer:
    """A stand-in of GEGL's: what is asked for, as bytes."""

    def __init__(self, pixels: np.ndarray, form: str):
        self._pixels, self._form = pixels, form

    def get(self, place, scale, form, abyss):
        assert (scale, form) == (1.0, self._form)
        x, y, width, height = place
        return self._pixels[y : y + height, x : x + width].tobytes()


class Layer(SimpleNamespace):
    def set_name(self, name):
        self.name = name

    def set_offsets(self, x, y):
        self.offsets = (x, y)

    def create_mask(self, kind):
        return f"mask of {kind}"

    def add_mask(self, mask):
        self.mask = mask


class Drawing:
    """A stand-in of GIMP's image."""

    def __init__(self):
        x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
        self.pixels = np.dstack([x % 256, y % 256, (x + y) % 256]).astype(np.uint8)
        self.selection = np.zeros(SIZE[::-1], np.uint8)
        left, top, right, bottom = SELECTED
        self.selection[top:bottom, left:right] = 255
        self.selection[top, left] = 40  # a soft corner
        self.log, self.deleted = [], 0

    def get_width(self):
        return SIZE[0]

    def get_height(self):
        return SIZE[1]

    def get_selection(self):
        return SimpleNamespace(get_buffer=lambda: Buffer(self.selection, "Y u8"))

    def insert_layer(self, layer, parent, position):
        self.log.append(("insert", layer.name, parent, position))

    def undo_group_start(self):
        self.log.append("start")

    def undo_group_end(self):
        self.log.append("end")


@pytest.fixture
def gimp(monkeypatch):
    """The plug-in as GIMP would load it."""

    def visible(image, target, name):
        def delete():
            image.deleted += 1

        return SimpleNamespace(get_buffer=lambda: Buffer(image.pixels, "R'G'B' u8"), delete=delete)

    def bounds(image):
        rows, columns = np.nonzero(image.selection)
        if not len(rows):
            return True, False, 0, 0, 0, 0
        return True, True, columns.min(), rows.min(), columns.max() + 1, rows.max() + 1

    Gimp = SimpleNamespace(
        PlugIn=object,
        AddMaskType=SimpleNamespace(SELECTION="selection"),
        RunMode=SimpleNamespace(NONINTERACTIVE=1),
        Selection=SimpleNamespace(bounds=bounds),
        Layer=SimpleNamespace(new_from_visible=visible),
        file_load_layer=lambda mode, image, path: Layer(pixels=np.asarray(Image.open(path))),
    )
    Gegl = SimpleNamespace(Rectangle=SimpleNamespace(new=lambda *place: place), AbyssPolicy=SimpleNamespace(NONE=0))
    repository = ModuleType("gi.repository")
    for name, value in {"Gegl": Gegl, "Gimp": Gimp, "GimpUi": None, "GLib": None, "GObject": None}.items():
        setattr(repository, name, value)
    repository.Gio = SimpleNamespace(File=SimpleNamespace(new_for_path=lambda path: path))
    gi = ModuleType("gi")
    gi.require_version = lambda name, version: None
    gi.repository = repository
    monkeypatch.setitem(sys.modules, "gi", gi)
    monkeypatch.setitem(sys.modules, "gi.repository", repository)
    return load()


@pytest.fixture
def server():
    """Fills what it is sent with black, and remembers it."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            photo, mask = (Image.open(io.BytesIO(base64.b64decode(sent[name]))) for name in ("image", "mask"))
            seen.append((self.path, np.asarray(photo), np.asarray(mask), sent["model"]))
            if sent["model"] == "none":
                self.send_response(404)
                self.end_headers()
                self.wfile.write(json.dumps({"detail": "unknown model 'none'"}).encode())
                return
            out = io.BytesIO()
            Image.fromarray(np.where(np.asarray(mask)[..., None] > 0, 0, np.asarray(photo)).astype(np.uint8)).save(
                out, "PNG"
            )
            self.send_response(200)
            self.send_header("X-Model", "moebius")
            self.end_headers()
            self.wfile.write(out.getvalue())

        def log_message(self, *arguments):
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_port}/", seen
    listening.shutdown()
    listening.server_close()


@pytest.mark.parametrize(
    ("selected", "box"),
    [
        (SELECTED, BOX),
        ((0, 0, 900, 700), (0, 0, 900, 700)),
        ((100, 300, 500, 310), (0, 0, 900, 700)),
        ((890, 690, 900, 700), (634, 434, 900, 700)),
    ],
)
def test_the_box_has_as_much_around_the_selection_as_it_is_long(plugin, selected, box):
    assert plugin.context_box(selected, SIZE) == box


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_pngs_are_what_pillow_reads(plugin, channels, mode):
    pixels = np.arange(7 * 5 * channels, dtype=np.uint8).reshape(5, 7, channels)
    image = Image.open(io.BytesIO(plugin.png(7, 5, channels, pixels.tobytes())))
    assert image.mode == mode
    np.testing.assert_array_equal(np.asarray(image).reshape(pixels.shape), pixels)
    with pytest.raises(ValueError, match="need"):
        plugin.png(7, 6, channels, pixels.tobytes())


def test_the_result_is_a_layer_where_the_box_was(gimp, server):
    image, (address, seen) = Drawing(), server
    layer = gimp.remove(image, address, "auto")
    (path, photo, mask, model), (left, top, right, bottom) = seen[0], BOX
    assert (path, model) == ("/api/v1/inpaint", "auto")
    np.testing.assert_array_equal(photo, image.pixels[top:bottom, left:right])
    np.testing.assert_array_equal(mask, np.where(image.selection > 0, 255, 0)[top:bottom, left:right])
    assert image.log == ["start", ("insert", "Moebius: moebius", None, 0), "end"] and image.deleted == 1
    assert layer.offsets == (left, top) and layer.mask == "mask of selection"
    expected = np.where((image.selection > 0)[..., None], 0, image.pixels)[top:bottom, left:right]
    np.testing.assert_array_equal(layer.pixels, expected)


def test_what_the_user_is_told(gimp, server):
    image, (address, _) = Drawing(), server
    with pytest.raises(gimp.Refused, match="The Moebius server says: unknown model 'none'"):
        gimp.remove(image, address, "none")
    with pytest.raises(gimp.Refused, match=r"No Moebius server answers at http://127.0.0.1:9 .*moebius serve"):
        gimp.remove(image, "http://127.0.0.1:9", "auto")
    image.selection[:] = 0
    with pytest.raises(gimp.Refused, match="Nothing is selected"):
        gimp.remove(image, address, "auto")
    assert image.log == []


def test_it_needs_the_standard_library_alone():
    named = [
        line.split()[1].split(".")[0]
        for line in SOURCE.read_text().splitlines()
        if line.startswith(("import ", "from "))
    ]
    assert set(named) <= set(sys.stdlib_module_names)
    assert SOURCE.stat().st_mode & 0o100
