"""Weights: what is published, where it is on this computer, how it is fetched, loaded, verified and saved."""


class WeightsError(ValueError):
    """Weights that are missing, damaged, or not what they should be; the message says which."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its name if it has none."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
