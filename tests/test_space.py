"""What Spaces reads of the repository, the README's front matter and the requirements, and what sets limits there."""

import re
from importlib.metadata import version
from pathlib import Path

import yaml
from packaging.requirements import Requirement

from moebius import environment
from moebius.weights import catalog

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


def test_the_files_that_are_preloaded_are_those_that_fills_need():
    _, told, _ = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    told = yaml.safe_load(told)
    preloaded = {(repo, file) for repo, files in map(str.split, told["preload_from_hub"]) for file in files.split(",")}
    default = catalog.VARIANTS[catalog.DEFAULT_VARIANT].folder
    assert preloaded == {
        (catalog.DENOISERS["moebius"].repo, f"{default}/{catalog.PUBLISHED_NAME}"),
        (catalog.AUTOENCODER_REPO, "vae/config.json"),
        (catalog.AUTOENCODER_REPO, f"vae/{catalog.PUBLISHED_NAME}"),
    }
    assert (told["suggested_hardware"], told["header"]) == ("zero-a10g", "mini")


def test_what_a_space_installs_first_is_within_the_requirements():
    allowed = {one.name: one for line in lines("requirements.txt") for one in [Requirement(line)]}
    pinned = [Requirement(line) for line in lines("pre-requirements.txt")]
    assert {one.name for one in pinned} == {"torch", "torchvision"}
    for one in pinned:
        (version,) = (specifier.version for specifier in one.specifier)
        assert version in allowed[one.name].specifier
    assert [str(one.specifier) for one in pinned if one.name == "torch"] == ["==2.11.0"], "the newest of ZeroGPU"


def lines(name: str) -> list[str]:
    every = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in every if line and not line.startswith("#")]


def named(*paths: Path) -> set[str]:
    """Variables of ours that files mention."""
    return {name for path in paths for name in re.findall(r"MOEBIUS_[A-Z_]+[A-Z]", path.read_text(encoding="utf-8"))}


def test_every_variable_that_code_and_readme_mention_exists():
    known = {variable.name for variable in environment.VARIABLES}
    main = {variable.name for variable in environment.VARIABLES if not variable.experimental}
    assert named(ROOT / "app.py", *(ROOT / "moebius").rglob("*.py"), *(ROOT / "eval").rglob("*.py")) == known
    assert named(ROOT / "README.md") <= main


def test_the_table_of_variables_is_the_one_that_the_code_makes():
    page = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
    assert environment.markdown() in page, "paste the output of the command at the top of moebius/environment.py"
    assert "docs/hosting.md" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_experimental_variables_are_named_where_experiments_are_described():
    experimental = {variable.name for variable in environment.VARIABLES if variable.experimental}
    assert experimental <= named(*(ROOT / "benchmarks").glob("*.md"))
    assert {"MOEBIUS_MODE", "MOEBIUS_GLA_KERNEL"} <= experimental & named(ROOT / "benchmarks" / "waiting-for-gpu.md")
    assert not experimental & named(ROOT / "docs" / "hosting.md")
