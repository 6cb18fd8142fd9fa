import logging
import os
import threading
import warnings

from moebius.photo.silence import quiet


def test_nothing_is_heard_inside_and_everything_outside(capfd):
    filters, logger = list(warnings.filters), logging.getLogger("PIL.TiffImagePlugin")
    with quiet(stderr=True):
        with quiet():  # may be nested
            os.write(2, b"from a C library\n")
            warnings.warn("damaged EXIF", stacklevel=1)
            logger.error("too many samples")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
    assert warnings.filters == filters and not logger.disabled


def test_it_ends_with_an_exception_too(capfd):
    try:
        with quiet(stderr=True):
            raise ValueError("damaged")
    except ValueError:
        os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_threads_take_turns():
    inside, largest = 0, 0

    def work() -> None:
        nonlocal inside, largest
        for _ in range(50):
            with quiet():
                inside += 1
                largest = max(largest, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert largest == 1
