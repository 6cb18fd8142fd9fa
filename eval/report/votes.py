"""The votes of people in a report, from the content of votes.json."""

from __future__ import annotations

from moebius.presentation import table
from moebius.presentation.table import Table

TALLY = "votes.json"
"""What `eval.tally` writes beside the results."""


def sentence(result: dict) -> str:
    """What people chose, in plain words."""
    best = result["models"][0]
    return (
        f"Of {result['votes']:,} choices by {result['voters']:,} people on {result['photos']:,} photos, "
        f"{best['name']} was preferred in {best['share']:.0%} of those that it took part in (equal ones count half)."
    )


def tables(result: dict) -> list[Table]:
    """Strengths, and the metrics by how far they agree with the votes."""
    agreement = result["agreement"]
    note = f"{sentence(result)} Strength: Bradley–Terry, in log-odds, mean 0. {result['intervals']}."
    if agreement["pairs"]:
        note += f" Two people who judged the same two fills said the same in {agreement['same']:.0%} of "
        note += f"{agreement['pairs']:,} cases"
        note += f" (Krippendorff's alpha {agreement['alpha']:.2f})." if agreement["alpha"] is not None else "."
    people = Table(
        "What people chose, blind",
        ("Model", "Choices", "Preferred", "Strength"),
        tuple(
            (model["name"], f"{model['votes']:,}", f"{model['share']:.0%}", table.interval(model["strength"], 2))
            for model in result["models"]
        ),
        note,
    )
    metrics = Table(
        "Which metrics agree with the people",
        ("Metric", "Choices", "Share that it shares"),
        tuple((one["name"], f"{one['votes']:,}", table.interval(one, 2)) for one in result["metrics"]),
        "Of choices for one of the two fills; 0.50 is chance.",
    )
    return [people, *([metrics] if metrics.rows else [])]
