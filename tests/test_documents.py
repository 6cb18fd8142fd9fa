"""Every link and every command in the documents exists; commands are parsed by the program's own parsers, not run."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

import eval.__main__ as evaluation
from moebius import __main__ as program

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [
        *(path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "moebius/samples/README.md",
    ]
)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)
NAMED = re.compile(r"(python -m (moebius|eval)|moebius)( [a-z-]+)?")
INLINE = re.compile(r"`((?:python|pip|pytest|moebius|ruff) [^`]*)`")


def commands(text: str) -> list[list[str]]:
    """Commands in blocks and within sentences, in words; those with … are no whole commands.

    Within a sentence a command may be named without its options: its help is asked for.
    """
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines()]
    for found in INLINE.findall(BLOCK.sub("", text)):
        words = found.split()
        lines.append(" ".join([*words, "--help"] if NAMED.fullmatch(" ".join(words)) else words))
    split = (shlex.split(part, comments=True) for line in lines for part in re.split(r" && ", line) if "…" not in part)
    return [words for words in split if words]


def is_wrong(words: list[str]) -> str:
    """Why a command cannot be run as it stands; empty: it can, or it is none of ours."""
    match words:
        case ["python", "-m", "moebius", *more] | ["moebius", *more] | ["python", "app.py", *more]:
            more = ["serve", *more] if "app.py" in words else more
            return "" if more[0] == "COMMAND" else refusal(program.build_parser(), more)
        case ["python", "-m", "eval", *more]:
            return refusal(evaluation.build_parser(), more)
        case ["pip", "install", "-r", path, *_] | ["pytest", path, *_] | ["python", path, *_]:
            return "" if path.startswith("-") or (ROOT / path).exists() else f"{path} does not exist"
    return ""


def refusal(parser, words: list[str]) -> str:
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        try:
            parser.parse_args(words)
        except SystemExit as ended:
            return said.getvalue() if ended.code else ""
    return ""


def anchors(path: Path) -> set[str]:
    """What headings are called in addresses."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_and_commands_exist(path):
    text = path.read_text(encoding="utf-8")
    for name, anchor in LINK.findall(text):
        target = path.parent / name if name else path
        assert target.exists(), f"{name} does not exist"
        assert not anchor or anchor in anchors(target), f"{name} has no heading #{anchor}"
    wrong = {" ".join(words): why for words in commands(text) if (why := is_wrong(words))}
    assert not wrong


def test_every_page_of_the_documentation_is_linked_from_the_readme():
    linked = {name for name, _ in LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))}
    pages = {path.relative_to(ROOT).as_posix() for path in [*(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"]}
    assert pages <= linked


def test_wrong_commands_are_noticed():
    assert is_wrong(["python", "-m", "moebius", "inpaint", "--no-such-option"])
    assert is_wrong(["moebius", "nonesuch"]) and is_wrong(["python", "app.py", "--nonesuch"])
    assert is_wrong(["python", "-m", "eval", "run"]) and is_wrong(["pip", "install", "-r", "nonesuch.txt"])
    assert not is_wrong(["python", "-m", "moebius", "models"]) and not is_wrong(["pip", "install", "pre-commit"])
