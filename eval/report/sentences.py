"""What a report says first, in plain sentences; every figure with its number of pictures and its interval."""

from __future__ import annotations

from eval.report import votes as people
from eval.store import number
from moebius.presentation import table
from moebius.presentation.results import heading

FEW_STAY = 0.05
"""Share of fills up to which an object counts as gone."""


def sentences(results: dict, votes: dict | None) -> list[str]:
    """From the content of results.json and votes.json; none for results of an older evaluation."""
    if "tested" not in results:
        return []
    found = [people.sentence(votes)] if votes else []
    found += [_nearest(results), _compared(results), _invented(results)]
    found += [_stays(results), _effect(results), _sharpness(results), *_trust(results)]
    return [text for text in found if text]


def _pictures(results: dict) -> str:
    data = results["data"]
    return f"{data['pictures']:,} pictures of {data['photos']:,} photos"


def _value(model: dict, key: str) -> dict:
    return model["composited"]["pictures"][key]


def _nearest(results: dict) -> str:
    """Which model does best by the first figure."""
    figure = results["figures"]["pictures"][0]
    known = [model for model in results["models"] if _value(model, figure["key"])["mean"] is not None]
    if not known:
        return ""
    sign = -1 if figure["higher_is_better"] else 1
    best = min(known, key=lambda model: sign * number(_value(model, figure["key"])["mean"]))
    return (
        f"By the {figure['name']}, {best['name']} is nearest to the truth: "
        f"{table.interval(_value(best, figure['key']))} (95 %, N = {_pictures(results)})."
    )


def _compared(results: dict) -> str:
    """Whether the others differ from the reference."""
    figure = results["figures"]["pictures"][0]
    parts = [
        f"{model['name']} is {difference['verdict']} ({table.interval(difference)})"
        for model in results["models"]
        if model["name"] != results["reference"]
        and (difference := model["composited"]["difference"][figure["key"]])["mean"] is not None
    ]
    if not parts:
        return ""
    return f"Compared with {results['reference']} picture by picture: {'; '.join(parts)}."


def _invented(results: dict) -> str:
    truth = results["truth_invented"]
    if truth["mean"] is None:
        return ""
    shares = ", ".join(f"{model['name']} {table.interval(_value(model, 'invented'), 2)}" for model in results["models"])
    return (
        f"Objects that nothing around the hole shows, as an ImageNet classifier sees them: {shares}; in the photos "
        f"themselves {table.interval(truth, 2)}. This is a guess, no detector."
    )


def _stays(results: dict) -> str:
    """With which careless masks something of the object stays."""
    parts = []
    for index, part in enumerate(results["models"][0]["composited"]["kinds"]):
        shares = [model["composited"]["kinds"][index]["figures"]["object_stays"]["mean"] for model in results["models"]]
        known = [share for share in shares if share is not None]
        if known and max(known) > FEW_STAY:
            parts.append(f"{part['words']}: {_range(known)} (N = {part['pictures']})")
    return (
        f"Something of the object stays in these shares of the fills, by how it was painted: {'; '.join(parts)}."
        if parts
        else ""
    )


def _range(shares: list[float]) -> str:
    low, high = f"{min(shares):.0%}", f"{max(shares):.0%}"
    return low if low == high else f"{low} to {high}"


def _effect(results: dict) -> str:
    if not results["data"]["pairs"]:
        return ""
    shares = [
        f"{model['name']} {table.interval(_value(model, 'effect_left'), 2)}"
        for model in results["models"]
        if _value(model, "effect_left")["mean"] is not None
    ]
    if not shares:
        return ""
    return (
        f"Of the object's shadow and reflection outside its mask, so much is left (1: all of it): {', '.join(shares)}."
    )


def _sharpness(results: dict) -> str:
    parts = [
        f"{model['name']} {part['gradient_around'][1]:.2f} beside the surroundings, {part['gradient_truth'][1]:.2f} "
        f"beside the truth (N = {part['pictures']})"
        for model in results["models"]
        for part in model["composited"]["sharpness"][-1:]
        if part["gradient_around"] and part["gradient_truth"]
    ]
    return f"Median sharpness in the largest holes, 1 is as sharp: {'; '.join(parts)}." if parts else ""


def _trust(results: dict) -> list[str]:
    """Which of the figures order fills as people do."""
    tested = results["tested"]
    shown = results["figures"]["pictures"]
    if tested is None:
        return ["No metric here was tested on whether it orders damaged fills as people do (validate-metrics)."]
    on = f"{tested['pictures']:,} pictures of {tested['data']}"
    passed = [one["name"] for one in shown if one["key"] in tested["metrics"] and not one["fails"]]
    failed = [f"{one['name']} ({', '.join(one['fails'])})" for one in shown if one["fails"]]
    untested = [one["name"] for one in shown if one["key"] not in tested["metrics"]]
    found = []
    if passed:
        found.append(f"These metrics order damaged fills as people do, on {on}: {', '.join(passed)}.")
    if failed:
        found.append(f"These do not, so do not choose a model by them alone: {'; '.join(failed)}.")
    if untested:
        found.append(f"Not tested in this way: {', '.join(untested)}.")
    return found


def meanings(results: dict) -> table.Table | None:
    """Every metric in a line: what it means, where it is weak, whether it passed its test; None for older results."""
    if "tested" not in results:
        return None
    tested = results["tested"] or {"metrics": []}
    rows = []
    for one in (*results["figures"]["pictures"], *results["figures"]["sets"]):
        verdict = f"fails: {', '.join(one['fails'])}" if one["fails"] else "passed"
        rows.append(
            (
                heading(one),
                one["meaning"],
                one["weakness"],
                verdict if one["key"] in tested["metrics"] else "not tested",
            )
        )
    note = (
        "Tested: python -m eval validate-metrics; passed where more than half of the pictures are ordered as by people."
    )
    return table.Table("What the metrics mean", ("Metric", "Meaning", "Weakness", "Test"), tuple(rows), note)
