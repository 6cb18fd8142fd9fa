"""Damaged files of every format in the processes that decode them; `python -m tests.fuzz` runs any number."""

import pytest

from moebius.photo import photo_file
from moebius.photo.worker import PhotoWorkers
from tests import fuzz

COUNT, PARTS = 2000, 8
"""About 15 s of one core."""

FAULTS = (
    *(5016141, 5050279, 5052855),  # a TIFF's tag that stands twice
    5023869,  # its XMP of a wrong type
    5053412,  # its directory lies outside the file
    *(5054520, 5084160),  # a photo so thin that nothing of a preview is the same part of it
    5057353,  # a PNG's XMP that breaks off
)


@pytest.fixture(scope="module")
def workers():
    workers = PhotoWorkers(count=1)
    yield workers
    workers.close()


def test_undamaged_files_are_filled():
    """Else the others would only be refused because of what they were made of."""
    for kind, files in fuzz.originals().items():
        for data in files:
            assert photo_file.open_photo(data).format == kind


@pytest.mark.parametrize("number", FAULTS)
def test_files_that_were_faults(workers, number, monkeypatch):
    monkeypatch.setenv("MOEBIUS_MAX_PIXELS", "1000000")
    assert fuzz.fault(workers, number)[0] in ("refused", "filled")


@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_files_are_refused_in_words_or_filled(workers, part, monkeypatch):
    monkeypatch.setenv("MOEBIUS_MAX_PIXELS", "1000000")
    results = {number: fuzz.fault(workers, number) for number in range(part, COUNT, PARTS)}
    assert {number: one for number, one in results.items() if one[0] not in ("refused", "filled")} == {}
    assert sum(result == "filled" for result, _ in results.values()) > len(results) // 8
