import pytest

from moebius.presentation.faithfulness import SCHEMA, table


def row(**changes) -> dict:
    given = {
        "same_format": True,
        "upright": True,
        "changed_outside": 0.25,
        "changed_blocks": None,
        "tags": 10,
        "tags_lost": 1,
        "depth_kept": True,
        "profile_kept": False,
        "still_shown": "",
        "gain_map_kept": None,
        "bytes": 50,
        "bytes_before": 100,
    }
    return given | changes


def test_means_over_the_files_that_were_written():
    files = {
        "a": row(),
        "b": row(changed_outside=0.75, changed_blocks=0.5, still_shown="the EXIF data", gain_map_kept=True, bytes=150),
        "c": {"failed": "ValueError"},
    }
    report = {"schema": SCHEMA, "exiftool": "12", "files": 3, "tools": [{"title": "T", "version": "1", "files": files}]}
    (cells,) = table(report).rows
    assert cells == (
        *("T 1", "2 of 3", "50.0 %", "50.0 %", "10.0 %", "0 of 2", "2 of 2", "2 of 2"),
        *("1", "1 of 1", "1.00"),
    )
    with pytest.raises(ValueError, match="schema 0"):
        table(report | {"schema": 0})
