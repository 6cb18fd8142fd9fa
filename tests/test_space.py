"""What Spaces reads of the repository, the README's front matter and the requirements, and what sets limits there."""

import re
from importlib.metadata import version
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")


def test_the_front_matter_is_what_spaces_asks_for():
    _, told, _ = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    told = yaml.safe_load(told)
    pinned = re.search(r"^gradio\S*==(\S+)$", (ROOT / "requirements.txt").read_text(), re.M)[1]
    assert told["sdk"] == "gradio" and told["sdk_version"] == pinned == version("gradio")
    assert (ROOT / told["app_file"]).is_file()
    assert told["colorFrom"] in COLOURS and told["colorTo"] in COLOURS and told["emoji"]
    assert len(told["short_description"]) <= 60
    assert isinstance(told["python_version"], str) and tuple(map(int, told["python_version"].split("."))) >= (3, 11)
    assert all(model.count("/") == 1 for model in told["models"])


def test_every_variable_of_the_code_is_in_the_readme_and_no_other():
    code = [ROOT / "app.py", *(ROOT / "moebius").rglob("*.py"), *(ROOT / "eval").rglob("*.py")]
    named = {name for path in code for name in re.findall(r"MOEBIUS_[A-Z_]+[A-Z]", path.read_text(encoding="utf-8"))}
    told = set(re.findall(r"MOEBIUS_[A-Z_]+[A-Z]", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert named == told and len(named) > 15
