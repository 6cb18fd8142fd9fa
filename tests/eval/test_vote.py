"""A ballot of an evaluation's fills, and what is counted: against a closed form, and a metric that is given by hand."""

import json
import math

import pytest

from eval import tally, vote
from eval.__main__ import main
from eval.report.votes import sentence, tables
from eval.settings import Settings
from eval.steps import Evaluation
from moebius.vote.ballot import FILE


@pytest.fixture
def evaluation(pictures, tmp_path):
    """Fills of two controls, not scored."""
    settings = Settings(
        models=("telea", "navier-stokes"),
        data=str(pictures),
        masks="object",
        features="efficientnet-lite0",
        device="cpu",
    )
    made = Evaluation(settings, tmp_path / "out", quiet=True)
    made.generate()
    settings.save(made.out)
    return made


def test_the_ballot_names_no_model_in_its_files_and_is_kept(evaluation):
    ballot = vote.prepare(evaluation, pictures=3)
    assert [one.photo for one in ballot.comparisons] == ["p0", "p3", "p6"], "spread over the set"
    assert {(one.first, one.second) for one in ballot.comparisons} == {("navier-stokes", "telea")}
    names = [path.name for path in ballot.folder.iterdir()]
    assert len(names) == 3 * 3 + 1 and not any("telea" in name or "p0" in name for name in names)
    before = (ballot.folder / FILE).stat().st_mtime_ns
    assert vote.prepare(evaluation, pictures=3) == ballot and (ballot.folder / FILE).stat().st_mtime_ns == before
    other = vote.prepare(evaluation, pictures=4)
    assert other.identity != ballot.identity and vote.open_store(evaluation.out).votes() == []


def test_strengths_agreement_and_metrics(evaluation, monkeypatch):
    ballot = vote.prepare(evaluation)
    assert tally.tally(evaluation) is None
    store = vote.open_store(evaluation.out)
    choices = ["first", "second", "second", "second", "second", "equal", "skip"]
    for voter in ("a" * 32, "b" * 32):
        for one, choice in zip(ballot.comparisons, choices, strict=True):
            store.add(voter, one, choice)
    scores = {
        name: {f"p{i}": {"psnr_hole": 10.0 + (name == "telea")} for i in range(7)}
        for name in evaluation.settings.models
    }
    scores["telea"]["p0"]["psnr_hole"] = None
    monkeypatch.setattr(tally, "_rows", lambda evaluation: scores)
    result = tally.tally(evaluation)
    assert result == json.loads((evaluation.out / "votes.json").read_text())
    assert (result["votes"], result["voters"], result["photos"], result["equal"]) == (12, 2, 6, 2)
    best, other = result["models"]
    assert best["name"] == "telea" and best["share"] == pytest.approx(9 / 12)
    # nearly log(9 / 3): a small penalty pulls the two together
    assert best["strength"]["mean"] - other["strength"]["mean"] == pytest.approx(math.log(3), abs=0.02)
    assert best["strength"]["low"] < best["strength"]["mean"] < best["strength"]["high"]
    assert result["agreement"] == {"pairs": 6, "same": 1.0, "alpha": 1.0}
    (metric,) = result["metrics"]
    assert metric["key"] == "psnr_hole" and metric["votes"] == 8 and metric["mean"] == 1.0  # without p0
    assert "telea was preferred in 75%" in sentence(result)
    assert [table.title for table in tables(result)][0] == "What people chose, blind"


def test_votes_are_exported_and_deleted_by_command(evaluation, tmp_path, capsys):
    ballot = vote.prepare(evaluation)
    store = vote.open_store(evaluation.out)
    store.add("a" * 32, ballot.comparisons[0], "first")
    store.add("a" * 32, ballot.comparisons[1], "flaw")
    out = ["-o", str(evaluation.out)]
    assert main(["vote", *out, "--export", str(tmp_path / "v.csv")]) == 0
    lines = (tmp_path / "v.csv").read_text().splitlines()
    assert lines[0] == "id,voter,photo,first,second,choice" and lines[1:] == [
        "1,1,p0,navier-stokes,telea,first",
        "2,1,p1,navier-stokes,telea,flaw",
    ]
    assert main(["vote", *out, "--delete", "1"]) == 0 and [one.id for one in store.votes()] == [2]
    assert main(["vote", *out, "--delete", "1"]) == 2 and "there is no vote 1" in capsys.readouterr().err
