"""Tables and plots."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from eval.data.protocols import PROTOCOLS
from eval.report import plots, render, tables
from eval.report.plots import Point
from eval.store import to_json
from moebius.files import read_json

SHIPPED = Path(__file__).parents[3] / "moebius" / "results"


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


def test_the_shipped_report_is_what_its_figures_give():
    """results.md beside the shipped results.json and timing.json, byte for byte."""
    results, times = (read_json(SHIPPED / name) for name in ("results.json", "timing.json"))
    made = render.markdown(results, tables.all_tables(results, times))
    assert made == (SHIPPED / "results.md").read_text(encoding="utf-8")


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
