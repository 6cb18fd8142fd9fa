"""One table, three renderings; and figures as people read them."""

import math

import pytest

from moebius.presentation import table
from moebius.presentation.table import Table

FIGURES = Table(
    "Scores", ("Model", "PSNR ↑", "Notes"), (("a|b", "9.50", "x < y"), ("classical", "–", "z" * 40)), "N = 2."
)


def test_markdown_has_title_rows_and_note_and_escapes_the_bar():
    assert FIGURES.markdown().split("\n") == [
        "## Scores",
        "",
        "| Model | PSNR ↑ | Notes |",
        "| --- | --- | --- |",
        "| a\\|b | 9.50 | x < y |",
        f"| classical | – | {'z' * 40} |",
        "",
        "N = 2.",
    ]


def test_html_escapes_every_cell_and_lets_long_ones_break():
    shown = FIGURES.html('a "label"')
    assert shown == (
        '<table aria-label="a &#34;label&#34;"><thead><tr><th scope="col">Model</th><th scope="col">PSNR ↑</th>'
        '<th scope="col">Notes</th></tr></thead><tbody><tr><th scope="row">a|b</th><td>9.50</td><td>x &lt; y</td></tr>'
        f'<tr><th scope="row">classical</th><td>–</td><td class="long">{"z" * 40}</td></tr></tbody></table>'
    )
    assert FIGURES.html().startswith("<table><thead>")


def test_text_aligns_words_to_the_left_and_figures_to_the_right():
    assert FIGURES.first(2).text().split("\n") == ["Model      PSNR ↑", "a|b          9.50", "classical       –"]
    assert FIGURES.first(-2).text().split("\n") == ["Model", "a|b", "classical"]


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="'t' has 2 columns, a row has 1"):
        Table("t", ("a", "b"), (("1",),))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.1235"),
        (12.345, "12.35"),
        (-3.0, "-3.0000"),
        ("inf", "∞"),
        (-math.inf, "-∞"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_a_figure_has_as_many_digits_as_it_deserves(value, text):
    assert table.figure(value) == text


def test_intervals_and_parameters():
    assert table.interval({"mean": 1.0, "low": 0.5, "high": 2.0}) == "1.0000 [0.5000, 2.0000]"
    assert table.interval({"mean": "inf", "low": None, "high": None}) == "∞"
    assert table.interval(None) == "–" and table.parameters(0) == "–"
    assert (table.parameters(226_041_531), table.parameters(11_902_000_000)) == ("226.0 M", "11.90 B")
