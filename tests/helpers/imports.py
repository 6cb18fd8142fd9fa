"""Who imports what, read from the sources of moebius/ and eval/ without importing any."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Import:
    """`importer` uses `imported`: full module names; of another package only the first part of the name."""

    importer: str
    imported: str
    names: tuple[str, ...]
    """What is taken from the module: names in `from … import`, attributes of the imported module."""
    at_import: bool
    """Not inside a function."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for package in ("moebius", "eval") for path in (ROOT / package).rglob("*.py")}


def imports_in(source: str, name: str, package: str) -> list[Import]:
    """Every import in the source of module `name`, also inside functions; not those for type checkers."""
    aliases: dict[str, str] = {}  # how a module of ours is called in this file
    found: list[tuple[str, tuple[str, ...], bool]] = []
    tree = ast.parse(source)
    for node, at_import in _import_nodes(tree, at_import=True):
        if isinstance(node, ast.Import):
            for alias in node.names:
                ours = alias.name in SOURCES
                found.append((alias.name if ours else alias.name.split(".")[0], (), at_import))
                if ours and alias.asname:
                    aliases[alias.asname] = alias.name
            continue
        base = node.module or ""
        if node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, *([base] if base else [])])
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            if inner in SOURCES:
                found.append((inner, (), at_import))
                aliases[alias.asname or alias.name] = inner
            else:
                found.append((base if base in SOURCES else base.split(".")[0], (alias.name,), at_import))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
            found.append((aliases[node.value.id], (node.attr,), False))
    return [Import(name, imported, names, at_import) for imported, names, at_import in found if imported != name]


def _import_nodes(tree: ast.AST, at_import: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, at_import
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from _import_nodes(other, at_import)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _import_nodes(node, at_import and not inside)


def imports_of(name: str) -> list[Import]:
    path = SOURCES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return imports_in(path.read_text(encoding="utf-8"), name, package)


IMPORTS = [one for name in sorted(SOURCES) for one in imports_of(name)]


def room(module: str) -> str:
    """The room or the single file of moebius/ that a module belongs to; empty for moebius itself."""
    return (module.split(".") + [""])[1]


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
