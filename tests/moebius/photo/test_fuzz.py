"""A few damaged files of every format in the page's worker; `python -m tests.fuzz` runs any number."""

import pytest

from moebius.photo import photo_file
from moebius.photo.worker import PhotoWorker
from tests import fuzz

COUNT = 240


def test_undamaged_files_are_filled():
    """Else the others would only be refused because of what they were made of."""
    for kind, files in fuzz.originals().items():
        for data in files:
            assert photo_file.open_photo(data).format == kind


@pytest.mark.parametrize("part", range(4))
def test_damaged_files_are_refused_in_words_or_filled(part, monkeypatch):
    monkeypatch.setenv("MOEBIUS_MAX_PIXELS", "1000000")
    worker = PhotoWorker(20)
    results = {number: fuzz.fault(worker, number) for number in range(part, COUNT, 4)}
    worker.close()
    assert {number: one for number, one in results.items() if one[0] not in ("refused", "filled")} == {}
    assert sum(result == "filled" for result, _ in results.values()) > len(results) // 8
