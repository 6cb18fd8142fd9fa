"""What a model reports with: shares of parts, and nothing that outlives the call."""

import gc
import weakref

from moebius.fill.call_progress import CallProgress


def test_the_share_of_a_part_is_one_of_the_whole():
    seen = []
    progress = CallProgress(lambda share, text: seen.append((share, text)))
    progress.part(1, 4)(0.5, "Filling")
    progress.part(0, 2).part(1, 2)(1.0, "Filling")
    assert seen == [(0.375, "Filling"), (0.5, "Filling")]


def test_parts_keep_nothing_until_the_collector_comes():
    """Behind the progress is the photo, hundreds of megabytes."""

    class Report:
        def __call__(self, share, text):
            pass

    report = Report()
    kept, progress = weakref.ref(report), CallProgress(report)
    progress.part(0, 1)(1.0, "Done")
    gc.disable()
    try:
        del report, progress
        assert kept() is None
    finally:
        gc.enable()
