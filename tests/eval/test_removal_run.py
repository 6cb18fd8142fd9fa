"""A run on a composed pair with careless masks: what stays; killed and finished by two processes it gives the same."""

import signal

import numpy as np
import pytest
from PIL import Image

from eval.compose.run import Recipe, make_pairs
from eval.report import tables
from eval.settings import Settings
from eval.steps import Evaluation
from moebius.files import read_json
from tests.helpers.evaluation_runs import statuses
from tests.helpers.synthetic import picture


@pytest.fixture
def pairs(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(picture(1, 256) // 2 + 90).save(photos / "photo.png")
    make_pairs(Recipe(count=1, photos=photos), tmp_path / "pairs", quiet=True)
    return tmp_path / "pairs"


@pytest.mark.slow
def test_careless_masks_killed_and_finished_by_two_equal_one(pairs, tmp_path):
    options = ["run", "--models", "telea", "--pairs", str(pairs), "--masks", "careless", "--device", "cpu"]
    options += ["--features", "efficientnet-lite0", "--no-time", "-o"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    runs = [
        {"arguments": [*options, str(whole)]},
        {"arguments": [*options, str(parts)], "kill_at": 6},
        {"arguments": [*options, str(parts)], "processes": 2},
    ]
    assert statuses(runs) == [[0], [-signal.SIGKILL], [0, 0]]
    assert (parts / "results.json").read_bytes() == (whole / "results.json").read_bytes()
    results = read_json(whole / "results.json")
    kinds = {part["kind"]: part["figures"] for part in results["models"][0]["composited"]["kinds"]}
    assert kinds["half"]["object_stays"]["mean"] == kinds["scribble"]["object_stays"]["mean"] == 1
    assert kinds["exact"]["object_stays"]["mean"] == kinds["loose-15"]["object_stays"]["mean"] == 0
    left = {kind: figures["effect_left"]["mean"] for kind, figures in kinds.items()}
    assert left["no-shadow"] == pytest.approx(1, abs=0.1) and left["loose-5"] < 0.9
    titles = [table.title for table in tables.all_tables(results, None)]
    assert "Object stays, share ↓ by how the mask is painted" in titles and "What the metrics mean" in titles
    text = (whole / "results.md").read_text()
    assert "Something of the object stays" in text and text.index("is nearest to the truth") < text.index("## Results")


def test_controls_that_return_their_input_are_refused(pairs, tmp_path):
    settings = Settings(models=("truth-blurred",), data="pairs", folder=str(pairs), features="efficientnet-lite0")
    with pytest.raises(ValueError, match="truth-blurred would return the object"):
        Evaluation(settings, tmp_path / "out", quiet=True)


def test_a_large_picture_is_scored_around_its_hole(monkeypatch):
    """As a small one in every figure of the hole but those of networks, and in none of the whole."""
    from eval import judge
    from eval.data.pairs import Judged
    from eval.judge import Metrics, Networks, picture_scores

    truth = picture(2, 640)
    fill = truth.copy()
    hole = np.zeros((640, 640), bool)
    hole[200:300, 250:380] = True
    fill[hole] = fill[hole] // 2 + 40
    networks = Networks(Metrics(features="efficientnet-lite0"), "cpu")
    (small,) = picture_scores([fill], [Judged(truth, hole)], networks)
    monkeypatch.setattr(judge, "LARGE", 1)
    (large,) = picture_scores([fill], [Judged(truth, hole)], networks)
    assert set(small) == set(large)
    for key, value in small.items():
        if key in ("psnr", "ssim", "effnet_lite0_distance", "effnet_lite2_distance"):
            assert large[key] is None and value is not None
        elif value is None:
            assert large[key] is None, key
        elif "distance" in key:  # the network sees another part of the picture around the hole
            assert large[key] == pytest.approx(value, rel=0.05), key
        else:
            assert large[key] == pytest.approx(value, rel=1e-5), key
