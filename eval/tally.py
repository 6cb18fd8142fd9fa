"""What came of a vote: strengths of the models, how far voters agree, how far each metric agrees with them."""

from __future__ import annotations

import numpy as np

from eval import score, store
from eval.metrics.bradley_terry import intervals, krippendorff_alpha, matrix, resampled_weights, strengths
from eval.report.figures import Figure
from eval.report.summary import rounded
from eval.report.votes import TALLY
from eval.steps import Evaluation
from eval.vote import FOLDER, open_store
from moebius.vote import ballot as ballots
from moebius.vote.store import EQUAL, FIRST, FLAW, SECOND, SKIP, Vote

SHARES = {FIRST: 1.0, SECOND: 0.0, EQUAL: 0.5, FLAW: 0.5}
"""What a vote counts for the first model; skipped ones count for nothing."""


def tally(evaluation: Evaluation) -> dict | None:
    """Strengths of the models, agreement of voters, and of each metric with the votes; also written to `TALLY`.

    None, and nothing written, where nobody has voted.
    """
    if not (evaluation.out / FOLDER / ballots.VOTES).is_file():
        return None
    votes_file = open_store(evaluation.out)
    votes = [vote for vote in votes_file.votes() if vote.choice != SKIP]
    votes_file.close()
    if not votes:
        return None
    groups = {sample.id: sample.group for sample in evaluation.dataset.samples}
    result = {
        **_counts(votes),
        "intervals": "95 %, bootstrap over photos and voters, 1,000 resamples, percentile",
        "models": _models(votes, groups),
        "agreement": _agreement(votes),
        "metrics": _metrics(votes, groups, evaluation),
    }
    store.write_json(evaluation.out / TALLY, result)
    return result


def _counts(votes: list[Vote]) -> dict:
    choices = [vote.choice for vote in votes]
    return {
        "votes": len(votes),
        "voters": len({vote.voter for vote in votes}),
        "photos": len({vote.comparison.photo for vote in votes}),
        "equal": choices.count(EQUAL),
        "same_flaw": choices.count(FLAW),
    }


def _models(votes: list[Vote], groups: dict[str, str]) -> list[dict]:
    """Every model's votes and its Bradley–Terry strength, best first."""
    names = sorted({name for vote in votes for name in (vote.comparison.first, vote.comparison.second)})
    rows = [
        (names.index(vote.comparison.first), names.index(vote.comparison.second), SHARES[vote.choice]) for vote in votes
    ]
    photos, voters = (
        [groups.get(vote.comparison.photo, vote.comparison.photo) for vote in votes],
        [v.voter for v in votes],
    )
    wins = matrix(len(names), rows)
    found = strengths(wins)
    low, high = intervals(len(names), rows, photos, voters)
    models = [
        {
            "name": name,
            "votes": int(sum(name in (vote.comparison.first, vote.comparison.second) for vote in votes)),
            "share": rounded(float(wins[index].sum() / (wins[index].sum() + wins[:, index].sum()))),
            "strength": {
                "mean": rounded(float(found[index])),
                "low": rounded(float(low[index])),
                "high": rounded(float(high[index])),
            },
        }
        for index, name in enumerate(names)
    ]
    return sorted(models, key=lambda model: -model["strength"]["mean"])


def _agreement(votes: list[Vote]) -> dict:
    """Of voters who judged the same two fills."""
    answers = [(vote.comparison, vote.choice) for vote in votes]
    by_question: dict = {}
    for question, choice in answers:
        by_question.setdefault(question, []).append(choice)
    pairs = same = 0
    for chosen in by_question.values():
        for place, one in enumerate(chosen):
            pairs += place
            same += sum(other == one for other in chosen[:place])
    alpha = krippendorff_alpha(answers)
    return {"pairs": pairs, "same": rounded(same / pairs) if pairs else None, "alpha": rounded(alpha)}


def _metrics(votes: list[Vote], groups: dict[str, str], evaluation: Evaluation) -> list[dict]:
    """Of each metric, the share of preferences that it shares; draws are left out."""
    rows = _rows(evaluation)
    preferences = [vote for vote in votes if vote.choice in (FIRST, SECOND)]
    found = []
    for figure in evaluation.shown["pictures"]:
        judged = [(vote, share) for vote in preferences if (share := _shares_it(figure, vote, rows)) is not None]
        if judged:
            photos = [groups.get(vote.comparison.photo, vote.comparison.photo) for vote, _ in judged]
            values = _mean([share for _, share in judged], photos, [vote.voter for vote, _ in judged])
            found.append({"key": figure.key, "name": figure.name, "votes": len(judged), **values})
    return found


def _rows(evaluation: Evaluation) -> dict[str, dict[str, dict]]:
    """Scores by model and picture, of the models that are scored."""
    names, found = score.chunk_names(evaluation.dataset), {}
    for contestant in evaluation.contestants:
        folder, _ = evaluation.folders.scores(contestant)
        if all((folder / name).is_file() for name in names):
            found[contestant.name] = {row["id"]: row["composited"] for row in score.read_rows(folder, names)}
    return found


def _shares_it(figure: Figure, vote: Vote, rows: dict[str, dict[str, dict]]) -> float | None:
    """1 if the metric prefers the same fill, 0 if the other, ½ if neither; None where it has no value of both."""
    one = vote.comparison
    first, second = (
        store.number(rows.get(name, {}).get(one.photo, {}).get(figure.key)) for name in (one.first, one.second)
    )
    if first is None or second is None:
        return None
    if first == second:
        return 0.5
    return float(((first > second) == figure.higher_is_better) == (vote.choice == FIRST))


def _mean(values: list[float], photos: list[str], voters: list[str]) -> dict:
    """With its interval over photos and voters."""
    weights = resampled_weights(photos, voters)
    total = weights.sum(axis=1)
    means = (weights @ np.array(values))[total > 0] / total[total > 0]
    low, high = np.percentile(means, [2.5, 97.5])
    return {"mean": rounded(float(np.mean(values))), "low": rounded(float(low)), "high": rounded(float(high))}
