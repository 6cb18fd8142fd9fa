"""A CMYK colour profile for tests, made from formulas: no file with a licence of its own is needed."""

from __future__ import annotations

import struct

import numpy as np


def cmyk_profile() -> bytes:
    """An ICC v2 output profile with lookup tables (lut8Type) in both directions.

    Its inks are not Pillow's: black only darkens by 80 %, and cyan is a little green. So a conversion that ignores
    the profile gives other colours.
    """
    axis = np.linspace(0, 1, 9)
    cmyk = np.stack(np.meshgrid(axis, axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 4)
    forward = _lab_bytes(_rgb_to_lab(_ink_to_rgb(cmyk)))
    lab_axis = np.linspace(0, 1, 17) * 255
    lab = np.stack(np.meshgrid(lab_axis, lab_axis, lab_axis, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = lab * (100 / 255, 1, 1) - (0, 128, 128)
    backward = (_rgb_to_ink(_lab_to_rgb(lab)) * 255).round().clip(0, 255).astype(np.uint8)
    description = b"desc" + struct.pack(">II", 0, 5) + b"Test\0" + bytes(12 + 67)
    white = b"XYZ " + struct.pack(">Iiii", 0, 63190, 65536, 54061)  # D50
    tags = {
        b"desc": description,
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": white,
        b"A2B0": _lut8(4, 3, 9, forward),
        b"B2A0": _lut8(3, 4, 17, backward),
    }
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    size = at + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">iii", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _lut8(inputs: int, outputs: int, grid: int, table: np.ndarray) -> bytes:
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    ramp = bytes(range(256))
    return (
        b"mft1\0\0\0\0"
        + bytes((inputs, outputs, grid, 0))
        + identity
        + ramp * inputs
        + table.tobytes()
        + ramp * outputs
    )


def _ink_to_rgb(cmyk: np.ndarray) -> np.ndarray:
    light = 1 - cmyk[:, :3] * (0.9, 1.0, 0.95)
    return light * (1 - 0.8 * cmyk[:, 3:])


def _rgb_to_ink(rgb: np.ndarray) -> np.ndarray:
    inks = (1 - rgb) / (0.9, 1.0, 0.95)
    return np.concatenate([inks, np.zeros_like(inks[:, :1])], axis=1).clip(0, 1)


_TO_XYZ = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])  # sRGB to D50
_WHITE = np.array([0.9642, 1.0, 0.8249])


def _rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    t = linear @ _TO_XYZ.T / _WHITE
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def _lab_to_rgb(lab: np.ndarray) -> np.ndarray:
    fy = (lab[:, 0] + 16) / 116
    f = np.stack([fy + lab[:, 1] / 500, fy, fy - lab[:, 2] / 200], axis=1)
    t = np.where(f > 0.2069, f**3, (f - 16 / 116) / 7.787)
    linear = (t * _WHITE @ np.linalg.inv(_TO_XYZ).T).clip(0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def _lab_bytes(lab: np.ndarray) -> np.ndarray:
    scaled = lab * (255 / 100, 1, 1) + (0, 128, 128)
    return scaled.round().clip(0, 255).astype(np.uint8)
