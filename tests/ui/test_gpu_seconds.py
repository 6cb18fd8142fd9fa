"""Seconds of a lent GPU from what past fills took."""

import pytest

from moebius.ui.gpu_seconds import ENOUGH, KEPT, SAFETY, START_S, Ledger, Row


def test_the_slowest_of_the_past_counts_once_there_are_enough():
    ledger = Ledger()
    rows = [Row(20, 0.05, 1.5), Row(40, 0.04, 2.0), Row(20, 0.03, 0.9)]
    for row in rows[:-1]:
        ledger.add("moebius", row)
    assert ledger.seconds("moebius", 20) is None and len(rows) == ENOUGH
    ledger.add("moebius", rows[-1])
    # fixed: 0.5, 0.4, 0.3; a step: 0.05
    assert ledger.seconds("moebius", 100) == pytest.approx(START_S + SAFETY * (0.5 + 100 * 0.05))
    assert ledger.seconds("pixelhacker", 100) is None
    ledger.forget("moebius")
    assert ledger.seconds("moebius", 20) is None


def test_what_is_long_past_does_not_count():
    ledger = Ledger()
    ledger.add("moebius", Row(20, 9.0, 200.0))
    for _ in range(KEPT):
        ledger.add("moebius", Row(20, 0.05, 0.9))  # faster as a whole than its steps say: nothing is fixed
    assert ledger.seconds("moebius", 20) == pytest.approx(START_S + SAFETY * 1.0)
