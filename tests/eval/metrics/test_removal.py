"""RC-S against a second implementation, written step by step from the description; squares; what it can tell apart."""

import math

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from eval.metrics.backbones import BackboneError
from eval.metrics.removal import SIGMA, discrepancy, removal_scores, squares
from eval.metrics.tokens import Dinov2Tokens, EffNetLite2Tokens, Tokens, scaled_size
from tests.helpers.synthetic import picture


class RandomTokens(Tokens):
    """A random projection of every cell: enough to compare two ways to the same figure."""

    cell_px = 14

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        self.weight = torch.randn(24, 3, 14, 14, generator=generator)

    def of(self, picture):
        return F.conv2d(picture.float() / 127.5 - 1, self.weight, stride=14)[0]


def direct(photo: np.ndarray, hole: np.ndarray, tokens: Tokens, spread: bool) -> float:
    """RC-S by unfolding and distances, one step of its description after the other."""
    scores = []
    for left, top, right, bottom in squares(hole):
        grid = tokens(np.ascontiguousarray(photo[top:bottom, left:right])).permute(2, 0, 1)[None].double()
        _, channels, h, w = grid.shape
        height, width = scaled_size((bottom - top, right - left))
        part = hole[top:bottom, left:right].astype(np.float32) * 255
        mask = cv2.resize(part, (width, height), interpolation=cv2.INTER_NEAREST)
        cell = tokens.cell_px
        mask = cv2.copyMakeBorder(mask, 0, h * cell - height, 0, w * cell - width, cv2.BORDER_CONSTANT, value=0)
        mask = F.adaptive_max_pool2d(torch.from_numpy(mask)[None, None], (h, w)).double()
        scale = max(h, w) / 64
        size, step = int(16 * scale), int(8 * scale)
        windows = F.unfold(grid, size, stride=step)[0].view(channels, size * size, -1).permute(2, 1, 0)
        masks = F.unfold(mask, size, stride=step)[0].T > 0
        everything = F.normalize(grid[0].flatten(1).T, dim=1)
        outside = grid[0].flatten(1).T[mask.flatten() == 0]
        sigma = float(torch.pdist(everything).median()) if spread else 10.0
        values = []
        for window, inside in zip(windows, masks, strict=True):
            a, b = window[inside], window[~inside]
            if len(a) > 5 and len(b) == 0:
                b = outside
            elif len(a) <= 5 or len(b) <= 5:
                continue
            a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
            pairs = ((a, a), (b, b), (a, b))
            k = [torch.exp(-((x[:, None] - y[None]) ** 2).sum(-1) / (2 * sigma**2)).mean() for x, y in pairs]
            values.append(float(k[0] + k[1] - 2 * k[2]))
        scores.append(math.exp(-np.mean(values)) if spread else math.exp(-1000 * np.mean(values) / 3))
    return float(np.mean(scores))


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return picture(4, 300)[:240]


@pytest.fixture
def hole() -> np.ndarray:
    """Two parts, one of them at the photo's edge, and a speck that is too small."""
    hole = np.zeros((240, 300), bool)
    hole[60:150, 40:100] = True
    hole[200:240, 230:300] = True
    hole[10:14, 10:14] = True
    return hole


def test_both_scores_are_those_of_the_direct_way(photo, hole):
    found = removal_scores(photo, hole, RandomTokens())
    assert found.published == pytest.approx(direct(photo, hole, RandomTokens(), spread=False), abs=1e-6)
    assert found.spread == pytest.approx(direct(photo, hole, RandomTokens(), spread=True), abs=1e-6)
    assert 0 < found.published < 1 and 0 < found.spread < 1


def test_remove_is_the_cosine_of_mean_tokens(photo, hole):
    """By numpy, from the grid of each square."""
    tokens, cosines = RandomTokens(), []
    for left, top, right, bottom in squares(hole):
        grid = tokens(np.ascontiguousarray(photo[top:bottom, left:right])).numpy().astype(np.float64)
        height, width = scaled_size((bottom - top, right - left))
        part = hole[top:bottom, left:right].astype(np.uint8)
        scaled = cv2.resize(part, (width, height), interpolation=cv2.INTER_NEAREST)
        h, w, _ = grid.shape
        padded = np.zeros((h * 14, w * 14), bool)
        padded[:height, :width] = scaled
        inside = padded.reshape(h, 14, w, 14).any(axis=(1, 3))
        a, b = grid[inside].mean(axis=0), grid[~inside].mean(axis=0)
        cosines.append(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert removal_scores(photo, hole, tokens).cosine == pytest.approx(np.mean(cosines), abs=1e-6)


def test_the_published_kernel_is_linear_on_unit_vectors_to_one_percent():
    """MMD² of exp(−d²/200) on unit vectors is the squared distance of means / 100, whatever the spread."""
    random = np.random.default_rng(0)
    for spread in (0.1, 1.0, 3.0):
        sets = []
        for shift in (0.0, 0.5):
            vectors = random.normal(0, spread, (200, 32)) + 1.0 + shift * np.arange(32) / 32
            sets.append(torch.from_numpy(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)))
        together = torch.cat(sets)
        kernel = torch.exp(-(torch.cdist(together, together) ** 2) / (2 * SIGMA**2))
        mmd = discrepancy(kernel, torch.arange(200), torch.arange(200, 400))
        means = [one.mean(dim=0) for one in sets]
        assert mmd == pytest.approx(float(((means[0] - means[1]) ** 2).sum()) / SIGMA**2, rel=0.01)


def test_dinov2_of_random_weights_goes_the_published_way(photo, hole, tmp_path):
    from transformers import Dinov2Config, Dinov2Model

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, patch_size=14, image_size=56)
        Dinov2Model(config).save_pretrained(tmp_path)
    tokens = Dinov2Tokens(tmp_path)
    assert tokens(photo).shape == (26, 32, 32)  # 240×300 becomes 358×448, padded to 364×448
    found = removal_scores(photo, hole, tokens)
    assert found.published == pytest.approx(direct(photo, hole, tokens, spread=False), abs=1e-6)
    with pytest.raises(BackboneError, match="facebook/dinov2-giant"):
        Dinov2Tokens(tmp_path / "nothing")


def test_squares_grow_by_a_third_and_stay_inside(hole):
    assert squares(hole) == [
        (70 - 45 - 25, 105 - 45 - 25, 70 + 45 + 25, 105 + 45 + 25),  # 25 to the left edge, less than a third of 90
        (230, 170, 300, 240),  # no room to grow, moved up
    ]
    speck = np.zeros((50, 80), bool)
    speck[20:26, 30:36] = True
    assert squares(speck) == [(28, 18, 38, 28)]  # the largest part counts however small it is
    assert squares(np.ones((50, 80), bool)) == [(0, 0, 50, 50)]


def test_a_photo_without_anything_around_the_hole_has_no_score(photo):
    assert removal_scores(photo, np.ones((240, 300), bool), RandomTokens()) == (None, None, None)


def test_lost_spread_costs_the_second_score_more_than_the_published_one():
    """Tokens inside are of the same distribution as outside, or all but equal to its mean."""
    random = np.random.default_rng(1)
    axis = np.zeros(16)
    axis[0] = 4.0
    outside = axis + random.normal(0, 1, (32, 32, 16))

    class Given(Tokens):
        cell_px = 14

        def __init__(self, inside: np.ndarray) -> None:
            self.grid = outside.copy()
            self.grid[8:24, 8:24] = inside

        def __call__(self, picture):
            return torch.from_numpy(self.grid)

        def of(self, picture):
            raise NotImplementedError

    hole = np.zeros((448, 448), bool)
    hole[112:336, 112:336] = True
    photo = np.zeros((448, 448, 3), np.uint8)
    same = removal_scores(photo, hole, Given(axis + random.normal(0, 1, (16, 16, 16))))
    unit = outside / np.linalg.norm(outside, axis=-1, keepdims=True)
    flat = removal_scores(photo, hole, Given(unit.mean(axis=(0, 1)) + random.normal(0, 1e-3, (16, 16, 16))))
    lost = {kind: math.log(getattr(flat, kind)) / math.log(getattr(same, kind)) for kind in ("published", "spread")}
    assert lost["spread"] > 2.5 > 2 > lost["published"], "MMD², flat over same"


def test_the_offline_network_sees_an_object_that_stays():
    tokens = EffNetLite2Tokens()
    photo = picture(1, 256)
    hole = np.zeros((256, 256), bool)
    hole[80:180, 80:180] = True
    assert tokens(photo).shape == (28, 28, tokens.dims)
    left_in = photo.copy()
    left_in[90:170, 90:170] = (20, 220, 40)
    clean, object_left = removal_scores(photo, hole, tokens), removal_scores(left_in, hole, tokens)
    assert clean.published > object_left.published and clean.spread > object_left.spread
