"""The directions of imports, read from the sources: which room may use which, no circles, and imports that do nothing.

A fault that is known stands in `KNOWN`. A new fault fails the test, and so does an entry of `KNOWN` that is mended:
the set can only shrink.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from tests.helpers.imports import IMPORTS, ROOT, SOURCES, imports_in, is_in, room

RECORDER = ROOT / "tests" / "helpers" / "import_recorder.py"
MAX_LINES = 400
MAX_FLAT_MODULES = 20

LAYERS = (
    "environment",
    "files",
    "paper",
    "heldout",
    "progress",
    "read_ahead",
    "units",
    "config",
    "devices",
    "masks",
    "patchmatch",
    "photo",
    "masking",
    "presentation",
    "fill",
    "models",
    "weights",
    "pipeline_images",
    "pipeline",
    "inpainters",
    "segment",
    "registry",
    "model_cache",
    "python_api",
    "compare",
    "contact_sheet",
    "batch",
    "bench",
    "training",
    "vote",
    "ui",
    "connectors",
    "commands",
)
"""Rooms and single files of moebius/, lowest first: each may import those above it in this list, and itself."""

LIGHT = ("moebius", "moebius.__main__", "moebius.registry", "moebius.commands.", "moebius.weights.", "moebius.config")
"""Modules (a dot at the end: all of a room) that may be imported without a heavy package."""
HEAVY = {"torch", "diffusers", "transformers", "gradio", "cv2", "scipy", "matplotlib"}

KNOWN = {
    "circle: moebius.models.fused.unet, moebius.models.unet",
}
"""Of these one stays: the network and its fast form know each other, by an import inside a function."""

HOMES = {
    r"\bos\.(environ|getenv)\b": {"moebius.environment"},
    r"\bos\.replace\(|\bmkstemp\(|\bfsync\(": {"moebius.files", "moebius.models.export"},
    r"\bfcntl\b": set(),
    r"\b(from|import) tqdm\b": {"moebius.progress", "moebius.weights.hub"},
    r"/ (1e6|1e9|2\*\*20|2\*\*30)[^}]*\} (MB|GB|MiB|GiB)": {"moebius.units", "moebius.inpainters.flux.memory_plans"},
    r"\bfile_digest\(|\.read_bytes\(\)\)\.hexdigest": {"moebius.files"},
}
"""What is done in one place: a pattern of the source, and the modules that may have it."""


# ---- rules: each returns its faults in words, one each ----


def directions() -> set[str]:
    rank = {name: index for index, name in enumerate(LAYERS)}
    faults = set()
    for one in IMPORTS:
        user, used = one.importer, one.imported
        if is_in(user, "eval") and any(is_in(used, f"moebius.{name}") for name in ("ui", "commands")):
            faults.add(f"{user} imports {used}")
        if is_in(user, "moebius") and is_in(used, "eval"):
            faults.add(f"{user} imports {used}")
        if not (is_in(user, "moebius") and is_in(used, "moebius")):
            continue
        if user in ("moebius", "moebius.__main__"):
            continue
        if used in ("moebius", "moebius.__main__"):
            if used == "moebius.__main__" or one.names != ("__version__",):
                faults.add(f"{user} imports {used}")
        elif room(user) != room(used) and rank[room(used)] > rank[room(user)]:
            faults.add(f"{user} imports {used}")
    return faults


def training_is_for_its_commands() -> set[str]:
    return {
        f"{one.importer} imports {one.imported}"
        for one in IMPORTS
        if is_in(one.imported, "moebius.training")
        and not any(is_in(one.importer, user) for user in ("moebius.training", "moebius.commands"))
    }


def fill_knows_no_files() -> set[str]:
    return {
        f"{one.importer} imports {one.imported}"
        for one in IMPORTS
        if is_in(one.importer, "moebius.fill")
        and is_in(one.imported, "moebius.photo")
        and one.imported not in ("moebius.photo.raster", "moebius.photo.images")
    }


def gradio_is_the_pages() -> set[str]:
    return {
        f"{one.importer} imports gradio"
        for one in IMPORTS
        if one.imported == "gradio" and not is_in(one.importer, "moebius.ui")
    }


def circles() -> set[str]:
    """Every group of files that import each other, directly or through others."""
    reach: dict[str, set[str]] = {}
    direct: dict[str, set[str]] = {name: set() for name in SOURCES}
    for one in IMPORTS:
        if one.imported in SOURCES:
            direct[one.importer].add(one.imported)
    for start in SOURCES:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for name in direct[waiting.pop()] - seen:
                seen.add(name)
                waiting.append(name)
        reach[start] = seen
    groups = {
        frozenset(other for other in reach[name] if name in reach[other]) for name in SOURCES if name in reach[name]
    }
    return {f"circle: {', '.join(sorted(group))}" for group in groups}


def private_names() -> set[str]:
    return {
        f"{one.importer} uses {one.imported}.{name}"
        for one in IMPORTS
        for name in one.names
        if one.imported in SOURCES and name.startswith("_") and not name.endswith("__")
    }


def heavy_imports() -> set[str]:
    """Modules of `LIGHT` whose import brings a heavy package, through whatever modules of ours."""
    direct: dict[str, set[str]] = {name: set() for name in SOURCES}
    for one in IMPORTS:
        if one.at_import:
            direct[one.importer].add(one.imported)
    faults = set()
    for start in SOURCES:
        if not any(start == name or (name.endswith(".") and start.startswith(name)) for name in LIGHT):
            continue
        seen, waiting = {start}, [start]
        while waiting:
            for name in direct.get(waiting.pop(), set()) - seen:
                seen.add(name)
                waiting.append(name)
        faults |= {f"importing {start} imports {package}" for package in HEAVY & seen}
    return faults


def long_files() -> set[str]:
    paths = [*SOURCES.values(), ROOT / "app.py"]
    return {
        f"{path.relative_to(ROOT).as_posix()} is too long"
        for path in paths
        if len(path.read_text(encoding="utf-8").splitlines()) > MAX_LINES
    }


def one_home() -> set[str]:
    return {
        f"{name} does what {', '.join(sorted(homes))} is for: {pattern}"
        for pattern, homes in HOMES.items()
        for name, path in {**SOURCES, "app": ROOT / "app.py"}.items()
        if name not in homes and re.search(pattern, path.read_text(encoding="utf-8"))
    }


RULES = (
    directions,
    training_is_for_its_commands,
    fill_knows_no_files,
    gradio_is_the_pages,
    circles,
    private_names,
    heavy_imports,
    long_files,
    one_home,
)


def test_imports_are_read_wherever_they_stand():
    source = """
from __future__ import annotations
import torch.nn as nn
from typing import TYPE_CHECKING
from . import config
if TYPE_CHECKING:
    from moebius import registry
try:
    from moebius.weights import hub as there
except ImportError:
    pass
def run():
    import moebius.pipeline
    from moebius.photo.images import preview, _private
    return there._hidden, config.Recipe
"""
    found = imports_in(source, "moebius.probe", "moebius")
    assert {(one.imported, one.names, one.at_import) for one in found} == {
        ("__future__", ("annotations",), True),
        ("torch", (), True),
        ("typing", ("TYPE_CHECKING",), True),
        ("moebius.config", (), True),
        ("moebius.weights.hub", (), True),
        ("moebius.pipeline", (), False),
        ("moebius.photo.images", ("preview",), False),
        ("moebius.photo.images", ("_private",), False),
        ("moebius.weights.hub", ("_hidden",), False),
        ("moebius.config", ("Recipe",), False),
    }


def test_every_room_has_its_place_in_the_order():
    rooms = {room(name) for name in SOURCES if is_in(name, "moebius")} - {"", "__main__"}
    assert rooms <= set(LAYERS), "name the new room in LAYERS"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule):
    new = rule() - KNOWN
    assert not new, "\n".join(sorted(new))


def test_known_faults_that_are_mended_leave_the_list():
    mended = KNOWN - set().union(*(rule() for rule in RULES))
    assert not mended, "delete from KNOWN:\n" + "\n".join(sorted(mended))


def test_few_modules_lie_flat():
    assert len(list((ROOT / "moebius").glob("*.py"))) <= MAX_FLAT_MODULES


# ---- what an import does, seen in a process ----


@pytest.mark.slow
def test_imports_do_nothing(tmp_path):
    """No variable read, no file or folder looked at, made or changed, no connection, by code of ours."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    names = [name for name in sorted(SOURCES) if not name.endswith("__main__")]
    done = subprocess.run(
        [sys.executable, "-B", "-P", RECORDER, ROOT],
        input=json.dumps(names),
        cwd=work,
        env=os.environ | {"HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = set(json.loads(done.stdout))
    assert found == set()
    assert list(work.iterdir()) == []


def test_importing_the_package_imports_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, moebius; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    loaded = set(done.stdout.split())
    assert "moebius" in loaded and not loaded & (HEAVY | {"numpy", "PIL"})
