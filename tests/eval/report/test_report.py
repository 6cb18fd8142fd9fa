"""Tables, plots and outlines."""

import math
import re

import numpy as np
import pytest
from PIL import ImageFont

from eval.data.protocols import PROTOCOLS
from eval.report import gallery, plots, render, sheets, tables
from eval.report.plots import Point
from eval.store import to_json


def test_the_papers_figures_stand_only_beside_the_same_protocol():
    told = render.paper(PROTOCOLS["places2-large"])
    assert told["rows"]["PixelHacker"] == {"fid": 2.05, "lpips": 0.169, "parameters": 862_000_000, "seconds": 0.94}
    assert "LaMa" not in told["rows"]  # it has no figure there
    table = tables.paper_table(told)
    assert all(row[0].endswith("(paper)") for row in table.rows) and "arXiv 2606.19195" in table.note
    assert render.paper(None) is None


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.name)
def test_every_protocol_has_a_column_in_the_paper_and_a_known_mask(protocol):
    from moebius.masks import make

    assert len(render.paper(protocol)["rows"]) >= 4
    assert make(protocol.masks, 0, protocol.side).shape == (protocol.side, protocol.side)


def test_numbers_for_people():
    assert tables.text(0.12345) == "0.1235" and tables.text(12.345) == "12.35" and tables.text("inf") == "∞"
    assert tables.with_interval({"mean": 1.0, "low": 0.5, "high": 2.0}) == "1.0000 [0.5000, 2.0000]"
    assert tables.with_interval({"mean": "inf", "low": None, "high": None}) == "∞"
    assert (tables.parameters(226_041_531), tables.parameters(11_902_000_000)) == ("226.0 M", "11.90 B")


def test_json_knows_infinity_and_refuses_nan():
    assert '"inf"' in to_json({"a": math.inf, "b": np.float32(1.5)})
    with pytest.raises(ValueError, match="NaN"):
        to_json([math.nan])


def test_points_lie_where_their_values_say():
    svg = plots.scatter("t", "x", "y", {"a": Point(0.01, 1.0, 0.9, 1.1), "b <i>": Point(1.0, 2.0)})
    (ax, ay), (bx, by) = [tuple(map(float, pair)) for pair in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)]
    assert ax < bx and ay > by  # larger values lie right and up
    assert all(plots.LEFT <= x <= plots.WIDTH and 0 <= y <= plots.HEIGHT for x, y in ((ax, ay), (bx, by)))
    assert "b &lt;i&gt;" in svg and "nan" not in svg


def test_lines_skip_what_is_not_there_and_one_flat_value_is_drawn():
    svg = plots.lines("t", "x", "y", ["small", "large"], {"a": [Point(0, 0.0), None], "b": [Point(0, 0.0)] * 2})
    assert svg.count("<circle") == 3 and "nan" not in svg


def test_the_outline_runs_along_the_hole():
    hole = np.zeros((20, 20), bool)
    hole[5:10, 5:15] = True
    hole[15:, 0:4] = True  # touches the border, which is no edge of the hole
    line = gallery.edge(hole)
    assert line[5, 5:15].all() and line[5:10, 5].all() and not line[7, 7]
    assert line[15, 0:3].all() and not line[18, 0] and not line[~hole].any()


def test_a_sheet_has_each_entry_whole_and_in_its_place():
    colours = [(200, 10 * index, 40) for index in range(7)]
    shown = [
        sheets.Entry(
            (np.full((100, 150, 3), colour, np.uint8), np.full((150, 90, 3), colour[::-1], np.uint8)), "x" * 99
        )
        for colour in colours
    ]
    sheet = np.asarray(sheets.draw("Title", ["hole outlined", "telea"], shown)).astype(int)
    assert sheet.shape[1] <= sheets.WIDTH
    corners = []
    for colour in colours:
        for painted, size in ((colour, (100, 150)), (colour[::-1], (150, 90))):
            rows, columns = np.nonzero((sheet == painted).all(axis=2))
            assert len(rows) == size[0] * size[1]  # no text and no other picture over it
            corners.append((rows.min(), columns.min()))
    assert corners == sorted(corners) and len({row for row, _ in corners}) == 2  # left to right, then the next row
    font = ImageFont.load_default(12)
    assert sheets.fitting("short", font, 150) == "short"
    cut = sheets.fitting("a" * 90 + "0.25", font, 150)
    assert cut.startswith("…") and cut.endswith("0.25") and font.getlength(cut) <= 150
