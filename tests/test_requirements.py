"""What is installed for which use: the requirement files and pyproject.toml hold the same lines."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def parts(name: str) -> dict[str, list[str]]:
    """Requirements by the word that heads their part of the file."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"# (\w+): ", line):
            found[heading[1]] = []
        elif line and not line.startswith(("#", "-r ")):
            found[list(found)[-1]].append(line)
    return found


def test_the_files_hold_what_pyproject_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {"core": project["dependencies"], **project["optional-dependencies"]}
    extras.pop("onnx")  # in neither file: one command needs it
    assert parts("requirements.txt") | parts("requirements-dev.txt") == extras
    assert set(parts("requirements.txt")) == {"core", "heic", "flux", "eval"}
    assert "-r requirements.txt" in (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()


def test_a_space_can_read_the_file_alone():
    """Spaces mount requirements.txt by itself: a line that names another file would fail there."""
    assert "\n-" not in (ROOT / "requirements.txt").read_text(encoding="utf-8")


def test_ci_finds_the_test_command():
    pattern = re.search(r"sed -n 's/\^\\\((.*?)\.\*\\\)\$/", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))[1]
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.startswith(pattern)]) == 1
