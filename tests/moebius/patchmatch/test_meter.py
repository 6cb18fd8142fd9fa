import pytest

from moebius.patchmatch.meter import Meter


def test_shares_follow_costs_and_end_at_one():
    log = []
    meter = Meter(lambda share, text: log.append((round(share, 6), text)), [1, 3])
    meter.stage("first", calls=2)
    meter.tick(1.0)
    meter.tick(0.5)
    meter.tick(5.0)  # more than was announced
    meter.stage("second")
    meter.at(0.5)
    meter.at(0.2)
    meter.finish()
    assert log == [
        (0.0, "first"), (0.125, "first"), (0.1875, "first"), (0.25, "first"),
        (0.25, "second"), (0.625, "second"), (0.625, "second"), (1.0, "Filled"),
    ]  # fmt: skip


def test_what_the_progress_raises_goes_through():
    def stop(share, text):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        Meter(stop, [1]).stage("first", 1)
