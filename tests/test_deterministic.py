"""The numbers of tests/helpers/deterministic.py, with which the reference vectors were made."""

import zlib

import numpy as np

from tests.helpers.deterministic import LARGE, values


def test_large_arrays_are_numpys_stream_bit_for_bit():
    for shape in ((LARGE + 1,), (LARGE,)):
        expected = np.random.RandomState(zlib.crc32(b"a.bias")).standard_normal(shape).astype(np.float32)
        np.testing.assert_array_equal(values("a.bias", shape), np.float32(0.05) * expected)
