"""Squares around holes, and pasting back: every hole filled, nothing else touched."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from moebius import masks
from moebius.config import SamplingConfig
from moebius.fill import geometry
from moebius.fill.scheduler import fill_photo
from moebius.inpainters.base import Inpainter


def picture(height: int, width: int, dtype=np.uint8) -> np.ndarray:
    return np.random.default_rng(5).integers(0, np.iinfo(dtype).max + 1, (height, width, 3), dtype=dtype)


def mask_of(shape: tuple[int, int], *boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


class Paints(Inpainter):
    """One colour; checks what it is given."""

    name = "paints"

    def __init__(self, size: int | None, colour: tuple[float, float, float]) -> None:
        self.size, self.colour = size, colour

    def fill_squares(self, tiles, masks, config, generators, progress):
        for tile, hole in zip(tiles, masks, strict=True):
            side = self.size or len(tile)
            assert tile.shape == (side, side, 3) and tile.dtype == np.uint8 and hole.shape == (side, side)
            assert hole.any() and not hole.all()
        return [np.full(tile.shape, self.colour, np.float32) for tile in tiles]


def run(canvas: np.ndarray, mask: np.ndarray, feather_px: int = 0, size: int | None = 512, colour=(10.0, 20.0, 30.0)):
    """(H, W, 3) after a fill by one colour that is enlarged as it comes, and where it was changed."""
    photo = canvas if canvas.dtype == np.uint16 else Image.fromarray(canvas)
    fill = fill_photo(
        Paints(size, colour), photo, mask, SamplingConfig(feather_px=feather_px, detail=False, match_colours=False)
    )
    return np.asarray(fill.raster), fill.changed


@pytest.mark.parametrize(
    "mask",
    [
        mask_of((1200, 1600), (100, 100, 160, 150)),
        mask_of((1200, 1600), (0, 0, 40, 40), (1560, 1160, 1600, 1200)),  # opposite corners
        mask_of((1200, 1600), (100, 60, 1500, 1150)),  # larger than any context allows
        mask_of((1200, 1600), (0, 600, 1600, 612)),  # a wire from edge to edge
        mask_of((1200, 1600), (0, 0, 1600, 1199)),  # all but one row
        mask_of((300, 200), (50, 50, 120, 260)),  # smaller than the model's square
        mask_of((1, 40), (3, 0, 9, 1)),
        mask_of((40, 1), (0, 3, 1, 9)),
        mask_of((2, 2), (0, 0, 1, 1)),
        mask_of((5000, 300), (100, 10, 130, 4990)),
        np.random.default_rng(5).random((700, 900)) < 0.0005,  # dust
    ],
    ids=["one", "corners", "huge", "wire", "row", "small", "line", "column", "tiny", "tall", "dust"],
)
@pytest.mark.parametrize("size", [512, 64, None])
def test_every_hole_is_filled_and_nothing_else_changes(mask, size):
    canvas = picture(*mask.shape)
    out, changed = run(canvas, mask, size=size)
    np.testing.assert_array_equal(changed, mask)
    np.testing.assert_array_equal(out[~mask], canvas[~mask])
    assert (out[mask] == (10, 20, 30)).all()


@pytest.mark.parametrize("feather_px", [1, 4, 9])
def test_the_blend_ends_where_it_should(feather_px):
    mask = mask_of((900, 900), (300, 320, 420, 400), (700, 50, 720, 800))
    canvas = picture(900, 900)
    out, changed = run(canvas, mask, feather_px)
    distance = ndimage.distance_transform_edt(~mask)  # another library's distances
    np.testing.assert_array_equal(changed, distance <= feather_px)
    np.testing.assert_array_equal(out[distance > feather_px], canvas[distance > feather_px])
    at_one = distance == 1
    at_one[:, 600:] = False  # the wire is filled in pieces, and where two meet the blend falls twice
    wanted = canvas[at_one] + (1 - 1 / (feather_px + 1)) * (np.array([10.0, 20.0, 30.0]) - canvas[at_one])
    np.testing.assert_array_equal(out[at_one], np.rint(wanted.astype(np.float32)))


def test_sixteen_bits_are_kept():
    mask, canvas = mask_of((200, 200), (50, 50, 90, 90)), picture(200, 200, np.uint16)
    out, _ = run(canvas, mask, colour=(255.0, 100.25, 0.0))
    assert (out[mask] == (65535, round(100.25 * 257), 0)).all()
    np.testing.assert_array_equal(out[~mask], canvas[~mask])


def test_far_apart_holes_do_not_share_a_square():
    mask = mask_of((3000, 4000), (100, 100, 160, 160), (3800, 2800, 3860, 2860))
    squares = geometry.plan_squares(mask, 1.75, 6, 512)
    assert [square.side for square in squares] == [512, 512]


def test_near_holes_do():
    mask = mask_of((3000, 4000), (100, 100, 160, 160), (180, 100, 240, 160), (350, 300, 360, 310))
    (square,) = geometry.plan_squares(mask, 1.75, 6, 512)
    assert square.side == 512 and square.cores == ((100, 100, 360, 310),)


@pytest.mark.parametrize("kind", ["lama-thin-512", "lama-medium-512", "lama-thick-512", "mat-small", "mat-large"])
def test_a_picture_of_the_models_size_is_one_square_whatever_its_holes(kind):
    """In squares over one window the model fills all holes at once, so that more of them were work thrown away."""
    counts = []
    for number in range(60):
        mask = masks.make(kind, masks.seed_of(0, f"{kind}:{number}"), 512)
        for size in (512, None):
            squares = geometry.plan_squares(mask, 1.75, 6, size)
            windows = [(square.x, square.y, square.side) for square in squares]
            assert len(set(windows)) == len(windows)
            covered = np.zeros(mask.shape, bool)
            for left, top, right, bottom in (core for square in squares for core in square.cores):
                covered[top:bottom, left:right] = True
            assert covered[mask].all()
            if size:
                counts.append(len(squares))
    assert len(counts) == 60 and np.mean(counts) == 1.0


def test_squares_of_other_windows_are_planned_as_before():
    """Worked out by hand: two holes far apart in a large photo keep a square each, in the order of their labels."""
    mask = mask_of((3000, 4000), (100, 100, 160, 160), (3800, 2800, 3860, 2860), (200, 2000, 1200, 2800))
    assert geometry.plan_squares(mask, 1.75, 6, 512) == [
        geometry.Square(0, 0, 512, ((100, 100, 160, 160),)),
        geometry.Square(0, 1250, 1750, ((200, 2000, 1200, 2800),)),
        geometry.Square(3488, 2488, 512, ((3800, 2800, 3860, 2860),)),
    ]


def test_a_big_hole_gets_its_context():
    (square,) = geometry.plan_squares(mask_of((3000, 4000), (1000, 1000, 2000, 1800)), 1.75, 6, 512)
    assert square.side == 1750
    ((left, top, right, bottom),) = square.cores
    assert square.x <= left - 300 and square.x + square.side >= right + 300
    assert square.y <= top - 300 and square.y + square.side >= bottom + 300


def test_a_wire_is_filled_in_fine_squares_as_many_as_allowed():
    mask = mask_of((3000, 4000), (0, 1500, 4000, 1512))
    for allowed in (1, 4, 16):
        squares = geometry.plan_squares(mask, 1.75, allowed, 512)
        assert len(squares) <= allowed
        covered = np.zeros(mask.shape, bool)
        for square in squares:
            for left, top, right, bottom in square.cores:
                covered[top:bottom, left:right] = True
        assert covered[mask].all()
    assert max(square.side for square in geometry.plan_squares(mask, 1.75, 16, 512)) <= 614
    assert len(geometry.plan_squares(mask, 1.75, 1, 512)) == 1


def test_squares_lie_inside_a_picture_that_is_large_enough():
    random = np.random.default_rng(6)
    for _ in range(50):
        x, y = random.integers(0, 1990), random.integers(0, 990)
        for square in geometry.plan_squares(mask_of((1000, 2000), (x, y, x + 10, y + 10)), 1.75, 6, 512):
            assert 0 <= square.x <= 2000 - square.side and 0 <= square.y <= 1000 - square.side


@pytest.mark.parametrize(("side", "size"), [(512, 512), (1024, 512), (777, 512), (300, 512), (64, 512)])
def test_what_lies_under_a_hole_does_not_reach_the_square(side, size):
    mask = np.zeros((side, side), bool)
    mask[side // 3 : side // 2, side // 4 : side // 2] = True
    canvas = picture(side, side)
    other = canvas.copy()
    other[mask] = 255 - other[mask]
    square = geometry.Square(0, 0, side, ((0, 0, side, side),))
    for one, two in zip(geometry.cut(canvas, mask, square, size), geometry.cut(other, mask, square, size), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_square_over_the_edge_mirrors_the_picture():
    canvas, mask = picture(100, 60), mask_of((100, 60), (10, 10, 20, 20))
    tile, hole = geometry.cut(canvas, mask, geometry.Square(-20, 0, 100, ((10, 10, 20, 20),)), 100)
    np.testing.assert_array_equal(tile[30:, 20:80], canvas[30:])
    np.testing.assert_array_equal(tile[30:, 19], canvas[30:, 0])
    np.testing.assert_array_equal(tile[30:, 80:], canvas[30:, :39:-1])
    assert hole[15, 35] and hole[15, 4], "the mirrored object is a hole too"


def test_feather_of_nothing_and_of_no_width():
    hole = mask_of((9, 9), (4, 4, 5, 5))
    np.testing.assert_array_equal(geometry.feather(hole, 0), hole.astype(np.float32))
    assert not geometry.feather(np.zeros((9, 9), bool), 3).any()
    np.testing.assert_allclose(geometry.feather(hole, 3)[4], [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0])


def test_dust_all_over_a_large_photo_shares_squares():
    mask = mask_of((4000, 6000), (1000, 1000, 1800, 2200), (5000, 100, 5050, 3900))
    random = np.random.default_rng(7)
    mask[random.integers(0, 4000, 1500), random.integers(0, 6000, 1500)] = True
    squares = geometry.plan_squares(mask, 1.75, 6, 512)
    assert len(squares) < 300, "1500 specks, and 94 squares of 512 pixels would tile the photo"
    covered = np.zeros(mask.shape, bool)
    for left, top, right, bottom in (core for square in squares for core in square.cores):
        covered[top:bottom, left:right] = True
    assert covered[mask].all()


@pytest.mark.parametrize("feather_px", [0, 4])
def test_squares_meet_where_one_sees_what_is_pasted_of_the_other(feather_px):
    """By paint: the pasted pixels of one lie under the square of the other, or the other way round."""
    met, random = 0, np.random.default_rng(8)
    for _ in range(300):
        squares = []
        for _ in range(2):
            x, y, side = random.integers(0, 150), random.integers(0, 150), random.integers(20, 50)
            cores = []
            for _ in range(random.integers(1, 3)):
                left, top = x + random.integers(0, side - 10), y + random.integers(0, side - 10)
                cores.append((left, top, left + random.integers(1, 10), top + random.integers(1, 10)))
            squares.append(geometry.Square(*map(int, (x, y, side)), tuple(tuple(map(int, core)) for core in cores)))
        sees = []
        for pasted, other in (squares, squares[::-1]):
            todo = np.zeros((220, 220), bool)
            for left, top, right, bottom in pasted.cores:
                todo[top:bottom, left:right] = True
            canvas, changed = np.zeros((220, 220, 3), np.uint8), np.zeros_like(todo)
            whole = geometry.Square(0, 0, 220, pasted.cores)
            geometry.paste(canvas, changed, todo, np.full((220, 220, 3), 255, np.float32), whole, feather_px)
            sees.append(changed[other.y : other.y + other.side, other.x : other.x + other.side].any())
        meet = geometry.meet(*squares, feather_px)
        assert meet == geometry.meet(*squares[::-1], feather_px)
        assert meet or not any(sees), squares
        if feather_px == 0:
            assert meet == any(sees), squares  # with a feather, corners are round and this may be too careful
        met += meet
    assert 20 < met < 280
