import math
from pathlib import Path

import pytest

from moebius import environment
from moebius.environment import Processes, VariableError


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        (environment.MAX_PIXELS, None, 128_000_000),
        (environment.MAX_PIXELS, " ", 128_000_000),
        (environment.MAX_PIXELS, " 1_000 ", 1000),
        (environment.MAX_SECONDS, None, math.inf),
        (environment.MAX_SECONDS, "0.5", 0.5),
        (environment.MARK, None, False),
        (environment.MARK, "", False),
        (environment.MARK, "0", False),
        (environment.MARK, " 1\n", True),
        (environment.WEIGHTS, None, None),
        (environment.WEIGHTS, "~/weights", Path.home() / "weights"),
        (environment.RESULTS, None, Path("results")),
        (environment.REVISION, "", "main"),
        (environment.REVISION, "v1", "v1"),
        (environment.MODE, None, ""),
        (environment.MODE, "triton-compiled", "triton-compiled"),
    ],
)
def test_values(monkeypatch, variable, text, value):
    monkeypatch.delenv(variable.name, raising=False)
    if text is not None:
        monkeypatch.setenv(variable.name, text)
    assert variable.read() == value


@pytest.mark.parametrize(
    ("variable", "text", "allowed"),
    [
        (environment.MAX_QUEUE, "many", "a whole number from 1"),
        (environment.MAX_QUEUE, "0", "a whole number from 1"),
        (environment.MAX_BYTES, "-1", "a whole number from 1"),
        (environment.MAX_BYTES, "1.5", "a whole number from 1"),
        (environment.MAX_SECONDS, "soon", "a positive number of seconds"),
        (environment.MAX_SECONDS, "0", "a positive number of seconds"),
        (environment.MAX_SECONDS, "nan", "a positive number of seconds"),
        (environment.MARK, "true", "1 or 0"),
        (environment.FETCH, "yes", "1 or 0"),
        (environment.HOSTED, "on", "1 or 0"),
        (environment.MODE, "quick", "one of eager, fused, compiled, triton, triton-compiled"),
        (environment.GLA_KERNEL, "cuda", "one of torch, fla"),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed_and_found_by_the_check(monkeypatch, variable, text, allowed):
    for other in environment.VARIABLES:
        monkeypatch.delenv(other.name, raising=False)
    environment.check()
    monkeypatch.setenv(variable.name, text)
    for read in (variable.read, environment.check):
        with pytest.raises(VariableError, match=f"^{variable.name} must be {allowed}, not '{text}'$"):
            read()


def test_a_default_for_the_process_gives_way_to_what_is_set(monkeypatch):
    monkeypatch.setenv("MOEBIUS_MARK", "0")
    environment.MARK.set_default("1")
    assert not environment.MARK.read()
    environment.MARK.set("1")
    assert environment.MARK.read()


def test_names_are_unique_and_choices_are_those_of_the_models():
    from moebius.models.fused.modes import MODES
    from moebius.models.gla import KERNELS

    names = [variable.name for variable in environment.VARIABLES]
    assert len(set(names)) == len(names) and all(name.startswith("MOEBIUS_") for name in names)
    assert environment.MODE.allowed == f"one of {', '.join(MODES)}"
    assert environment.GLA_KERNEL.allowed == f"one of {', '.join(KERNELS)}"


def test_the_cache_folder(monkeypatch):
    for name in ("MOEBIUS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert environment.cache_folder() == Path.home() / ".cache" / "moebius"
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert environment.cache_folder() == Path("/cache/moebius")
    monkeypatch.setenv("MOEBIUS_CACHE", "/own")
    assert environment.cache_folder() == Path("/own")


def set_processes(monkeypatch, **variables):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, text in variables.items():
        monkeypatch.setenv(name, text)


def test_processes(monkeypatch):
    set_processes(monkeypatch)
    assert environment.processes() == Processes(rank=0, count=1, local_rank=0)
    set_processes(monkeypatch, RANK="3", WORLD_SIZE="4", LOCAL_RANK="1")
    assert environment.processes() == Processes(rank=3, count=4, local_rank=1)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK must be between 0 and WORLD_SIZE - 1, got 2 of 2"),
        ({"RANK": "1"}, "RANK must be between 0 and WORLD_SIZE - 1, got 1 of 1"),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, "RANK must be a whole number from 0, not '-1'"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE must be a whole number from 1, not '0'"),
        ({"LOCAL_RANK": "first"}, "LOCAL_RANK must be a whole number from 0, not 'first'"),
    ],
)
def test_processes_that_make_no_sense_are_refused_in_batches_and_evaluation(monkeypatch, variables, message):
    from eval.workers import Workers

    set_processes(monkeypatch, **variables)
    for read in (environment.processes, Workers.from_environment):
        with pytest.raises(VariableError, match=message):
            read()
