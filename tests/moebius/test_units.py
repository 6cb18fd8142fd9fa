import pytest

from moebius import units


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.00 s"),
        (0.034, "0.03 s"),
        (2.34, "2.3 s"),
        (99.96, "100.0 s"),
        (185.7, "3 min 5 s"),
        (3599, "59 min 59 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations(seconds, text):
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.4, "12 s"), (29, "29 s"), (31, "1 min"), (725, "12 min"), (3599, "1 h 0 min")]
)
def test_estimates(seconds, text):
    assert units.rough_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (1_234_567, "1.2 MB"),
        (25_000_000, "25 MB"),
        (155_906_050, "156 MB"),
        (999_600_000, "1 GB"),
        (3_580_000_000, "3.6 GB"),
        (34_000_000_000, "34 GB"),
        (2_500_000_000_000, "2,500 GB"),
    ],
)
def test_file_sizes(count, text):
    assert units.file_size(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(3000, "3 KiB"), (200 * 2**10, "200 KiB"), (3 * 2**19, "1.5 MiB"), (256 * 2**20, "256 MiB"), (2**32, "4 GiB")],
)
def test_sizes_of_memory_and_limits(count, text):
    assert units.memory_size(count) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 photos"), (1, "1 photo"), (2, "2 photos"), (1200, "1,200 photos")])
def test_counts(count, text):
    assert units.counted(count, "photo") == text
