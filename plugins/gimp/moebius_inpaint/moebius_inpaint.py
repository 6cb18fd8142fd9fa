#!/usr/bin/env python3
"""GIMP 3: take out what is selected, by a Moebius server on this computer. Python's standard library only.

What is selected, with its surroundings as they are seen, goes to `python -m moebius serve`; what comes back becomes a
layer of its own, shown where the selection is. No other layer is touched.
"""

import base64
import json
import os
import struct
import sys
import tempfile
import urllib.error
import urllib.request
import zlib

PROCEDURE = "plug-in-moebius-inpaint"
ADDRESS, MODEL = "http://127.0.0.1:7860", "auto"
MIN_CONTEXT_PX = 256
"""What the model sees around the selection, at least; otherwise as much as the selection is long."""
TIMEOUT_S = 1800


class Refused(Exception):
    """The message is for the user."""


# ---- pure: boxes and bytes ----


def context_box(selected, size):
    """Left, top, right, bottom of what is sent: the selection's box and its surroundings, within the image.

    selected: left, top, right, bottom. size: width and height of the image.
    """
    left, top, right, bottom = selected
    pad = max(MIN_CONTEXT_PX, right - left, bottom - top)
    return max(0, left - pad), max(0, top - pad), min(size[0], right + pad), min(size[1], bottom + pad)


def png(width, height, channels, pixels):
    """Rows of 8-bit pixels as a PNG; channels: 1 (grey), 3 (RGB) or 4 (RGBA)."""
    stride = width * channels
    if len(pixels) != stride * height:
        raise ValueError(f"{width}×{height} pixels of {channels} channels need {stride * height} bytes")
    rows = b"".join(b"\0" + pixels[start : start + stride] for start in range(0, len(pixels), stride))
    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )


def whole(selection):
    """A selection's bytes with every pixel that is selected at all selected wholly."""
    return bytes(selection).translate(bytes([0]) + bytes([255]) * 255)


def ask(address, photo, mask, model):
    """Send two PNGs; returns the filled one and the name of the model. Raises Refused."""
    body = json.dumps(
        {
            "image": base64.b64encode(photo).decode(),
            "mask": base64.b64encode(mask).decode(),
            "model": model,
            "sd_seed": -1,
        }
    ).encode()
    url = address.rstrip("/") + "/api/v1/inpaint"
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return answer.read(), answer.headers.get("X-Model") or model
    except urllib.error.HTTPError as error:
        raise Refused(f"The Moebius server says: {_detail(error)}") from None
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise Refused(
            f"No Moebius server answers at {address} ({reason}). Start it with: python -m moebius serve --port 7860"
        ) from None


def _detail(error):
    try:
        return json.loads(error.read())["detail"]
    except (ValueError, KeyError, TypeError):
        return f"status {error.code}; is this the address of `python -m moebius serve`?"


# ---- GIMP ----

try:
    import gi

    for name, version in (("Gegl", "0.4"), ("Gimp", "3.0"), ("GimpUi", "3.0")):
        gi.require_version(name, version)
    from gi.repository import Gegl, Gimp, GimpUi, Gio, GLib, GObject
except (ImportError, ValueError):
    Gimp = None  # the functions above are tested without GIMP


def remove(image, address, model):
    """The selection's content goes; returns the new layer. Raises Refused."""
    found, not_empty, *selected = Gimp.Selection.bounds(image)
    if not found or not not_empty:
        raise Refused("Nothing is selected. Select what should go, with a little around it, then try again.")
    box = context_box(selected, (image.get_width(), image.get_height()))
    seen, mask = _pixels(image, box)
    width, height = box[2] - box[0], box[3] - box[1]
    filled, used = ask(address, png(width, height, 3, seen), png(width, height, 1, whole(mask)), model)
    image.undo_group_start()
    try:
        layer = _layer(image, filled)
        layer.set_name(f"Moebius: {used}")
        image.insert_layer(layer, None, 0)
        layer.set_offsets(box[0], box[1])
        layer.add_mask(layer.create_mask(Gimp.AddMaskType.SELECTION))
    finally:
        image.undo_group_end()
    return layer


def _pixels(image, box):
    """What is seen in a box, RGB, and how much each pixel is selected; 8 bits."""
    place = Gegl.Rectangle.new(box[0], box[1], box[2] - box[0], box[3] - box[1])
    visible = Gimp.Layer.new_from_visible(image, image, "Moebius")
    try:
        seen = bytes(visible.get_buffer().get(place, 1.0, "R'G'B' u8", Gegl.AbyssPolicy.NONE))
    finally:
        visible.delete()
    mask = bytes(image.get_selection().get_buffer().get(place, 1.0, "Y u8", Gegl.AbyssPolicy.NONE))
    return seen, mask


def _layer(image, data):
    """A PNG as a layer that is not yet in the image; GIMP reads it from a file."""
    handle, path = tempfile.mkstemp(suffix=".png")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        return Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image, Gio.File.new_for_path(path))
    finally:
        os.unlink(path)


def run(procedure, run_mode, image, drawables, config, data):
    if run_mode == Gimp.RunMode.INTERACTIVE:
        GimpUi.init(PROCEDURE)
        dialog = GimpUi.ProcedureDialog.new(procedure, config, "Remove with Moebius")
        dialog.fill(None)
        chosen = dialog.run()
        dialog.destroy()
        if not chosen:
            return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
    Gimp.progress_init("Moebius is filling the selection")
    try:
        remove(image, config.get_property("address"), config.get_property("model"))
    except Refused as error:
        return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, GLib.Error(str(error)))
    Gimp.displays_flush()
    return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)


if Gimp is not None:

    class MoebiusInpaint(Gimp.PlugIn):
        def do_set_i18n(self, name):
            return False

        def do_query_procedures(self):
            return [PROCEDURE]

        def do_create_procedure(self, name):
            procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
            procedure.set_image_types("*")
            procedure.set_menu_label("_Remove with Moebius…")
            procedure.add_menu_path("<Image>/Filters/Enhance")
            procedure.set_documentation(
                "Take out what is selected",
                "Sends the selection and its surroundings to a Moebius server on this computer; the result is a layer.",
                name,
            )
            procedure.set_attribution("The contributors of the Moebius inpainting page", "Apache-2.0", "2026")
            for key, label, text, default in (
                ("address", "_Server", "Where `python -m moebius serve` answers", ADDRESS),
                ("model", "_Model", "A model's name, or auto", MODEL),
            ):
                procedure.add_string_argument(key, label, text, default, GObject.ParamFlags.READWRITE)
            return procedure

    if __name__ == "__main__":
        Gimp.main(MoebiusInpaint.__gtype__, sys.argv)
