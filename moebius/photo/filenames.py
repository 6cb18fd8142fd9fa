"""File names from strangers, made fit for any file system and for archives that others unpack."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

MAX_STEM_BYTES = 120
"""Bytes in UTF-8 of a name without its suffix: file systems allow 255 for a whole name."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
"""Devices on Windows, whatever follows a dot."""


def safe_stem(given: str, ending: str = "") -> str:
    """What a file's name becomes without its folders and its suffix; "photo" where nothing is left.

    Letters of all scripts stay. Control and formatting characters (which can turn a name's direction) go, what some
    system forbids becomes `_`, nothing begins or ends with a dot or a blank, and the length is bounded.

    Args:
        given: a name as a browser or a script sent it, perhaps with a path of any system.
        ending: if the name ends with it, it does so also where it is cut.
    """
    name = unicodedata.normalize("NFC", given[-4096:].replace("\\", "/").rsplit("/", 1)[-1])
    stem = name.rpartition(".")[0] if "." in name.strip(". ") else name
    kept = "".join(char for char in stem if unicodedata.category(char)[0] != "C")
    kept = re.sub(r'[<>:"|?*]', "_", kept).strip(". ")
    ending = ending if ending and kept.endswith(ending) else ""
    cut = kept.removesuffix(ending).encode()[: MAX_STEM_BYTES - len(ending.encode())].decode(errors="ignore")
    kept = cut.rstrip(". ") + ending
    return f"_{kept}" if _RESERVED.fullmatch(kept) else kept or "photo"


def unique(stem: str, suffix: str, taken: Container[str]) -> str:
    """`stem.suffix`, or `stem (2).suffix` and so on until its lower case is not in `taken`."""
    name, number = f"{stem}{suffix}", 1
    while name.lower() in taken:
        number += 1
        name = f"{stem} ({number}){suffix}"
    return name
