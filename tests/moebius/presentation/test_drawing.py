"""Outlines, close-ups and grids of pictures."""

import numpy as np
from PIL import ImageFont

from moebius.presentation import drawing
from moebius.presentation.drawing import Entry


def test_the_edge_runs_along_the_hole():
    hole = np.zeros((20, 20), bool)
    hole[5:10, 5:15] = True
    hole[15:, 0:4] = True  # touches the border, which is no edge of the hole
    line = drawing.edge(hole)
    assert line[5, 5:15].all() and line[5:10, 5].all() and not line[7, 7]
    assert line[15, 0:3].all() and not line[18, 0] and not line[~hole].any()


def test_an_outline_lies_outside_the_hole_and_is_wider_in_a_larger_photo():
    for side, width in ((200, 2), (2000, 8)):
        photo, hole = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), bool)
        hole[side // 4 : side // 2, side // 4 : side // 2] = True
        marked = (drawing.outlined(photo, hole, shown_px=500) == drawing.MARK).all(axis=2)
        grown = np.zeros_like(hole)
        grown[side // 4 - width : side // 2 + width, side // 4 - width : side // 2 + width] = True
        np.testing.assert_array_equal(marked, grown & ~hole)
        assert not photo.any(), "the photo itself is left alone"


def test_a_small_copy_outlines_the_hole_light_on_dark():
    photo, hole = np.zeros((100, 200, 3), np.uint8), np.zeros((100, 200), bool)
    hole[20:60, 40:120] = True
    copy = drawing.small(photo, hole, side=100)
    assert copy.shape == (50, 100, 3) and drawing.small(photo, side=40).shape == (20, 40, 3)
    assert (copy[10, 20:60] == drawing.LIGHT).all() and (copy[9, 20:60] == drawing.HALO).all()
    assert not copy[15:25, 30:50].any()


def test_a_close_up_is_a_square_around_the_hole_inside_the_photo():
    photo = np.stack([np.mgrid[:300, :400][0], np.mgrid[:300, :400][1], np.zeros((300, 400))], -1).astype(np.uint16)
    hole = np.zeros((300, 400), bool)
    hole[100:200, 150:210] = True  # 100 high: a square of 150 around row 150, column 180
    near = drawing.close_up(photo, hole)
    assert near.shape == (150, 150, 3) and near[0, 0].tolist() == [75, 105, 0]
    hole[:] = False
    hole[298:, 390:] = True  # at least 64 pixels, moved inside
    assert drawing.close_up(photo, hole)[0, 0].tolist() == [300 - 64, 400 - 64, 0]


def test_a_grid_has_each_entry_whole_and_in_its_place():
    colours = [(200, 10 * index, 40) for index in range(7)]
    entries = [
        Entry((np.full((100, 150, 3), colour, np.uint8), np.full((150, 90, 3), colour[::-1], np.uint8)), "x" * 99)
        for colour in colours
    ]
    sheet = np.asarray(drawing.grid("Title", ["hole outlined", "telea"], entries)).astype(int)
    assert sheet.shape[1] <= drawing.GRID_PX
    corners = []
    for colour in colours:
        for painted, size in ((colour, (100, 150)), (colour[::-1], (150, 90))):
            rows, columns = np.nonzero((sheet == painted).all(axis=2))
            assert len(rows) == size[0] * size[1]  # no text and no other picture over it
            corners.append((rows.min(), columns.min()))
    assert corners == sorted(corners) and len({row for row, _ in corners}) == 2  # left to right, then the next row


def test_text_that_is_too_wide_loses_its_beginning():
    font = ImageFont.load_default(12)
    assert drawing.fitting("short", font, 150) == "short"
    cut = drawing.fitting("a" * 90 + "0.25", font, 150)
    assert cut.startswith("…") and cut.endswith("0.25") and font.getlength(cut) <= 150
