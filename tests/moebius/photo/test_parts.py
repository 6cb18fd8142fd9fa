from typing import get_args

from moebius.photo import parts
from moebius.photo.photo_file import SUFFIXES
from tests.helpers.imports import ROOT


def test_the_table_of_the_docs_is_made_from_the_list():
    assert parts.table() in (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")


def test_every_format_is_listed_and_every_entry_is_of_a_known_kind():
    assert {name for part in parts.PARTS for name in part.formats} == set(SUFFIXES)
    assert {part.action for part in parts.PARTS} == set(get_args(parts.Action))
    entries = [(name, part.name) for part in parts.PARTS for name in part.formats]
    assert len(set(entries)) == len(entries)
