"""Who may import what: gradio only in app.py and moebius/ui, and nothing heavy for `import moebius`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def modules(package: str) -> list[str]:
    """Every module of a package but the page's, without importing any."""
    names = []
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[:2] != ("moebius", "ui"):
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("package", ["moebius", "eval"])
def test_library_and_evaluation_import_without_gradio(package):
    names = modules(package)
    assert package in names
    done = run(
        "import importlib, sys\n"
        "sys.modules['gradio'] = None  # any import of it fails\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert not [name for name in sys.modules if name.startswith('gradio.')]"
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_package_imports_nothing_heavy():
    done = run("import sys, moebius; print(sorted({'torch', 'diffusers', 'cv2', 'numpy', 'PIL'} & set(sys.modules)))")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_library_does_not_import_evaluation_or_page():
    done = run(
        "import importlib, sys\n"
        f"for name in {modules('moebius')!r}: importlib.import_module(name)\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'eval' or name.startswith('moebius.ui')]"
    )
    assert done.returncode == 0, done.stderr
