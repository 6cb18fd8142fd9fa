from moebius.ui.fill import html


def test_result_tells_what_made_it_why_how_long_and_the_notes():
    line = html.result_line(
        title="Moebius",
        variant="places2",
        reason="It is the best.",
        seconds={"reading": 0.25, "the model": 3.0, "writing": 0.001},
        squares=2,
        seed=7,
        notes=("JPEG: 3 of 9 blocks were written anew.",),
    )
    for part in (
        "Made by <b>Moebius (places2)</b>. It is the best.",
        "<p>3.3 s · seed 7</p>",
        "reading 0.2 s, the model 3.0 s; in 2 squares</details>",
        "<li>JPEG: 3 of 9 blocks were written anew.</li>",
    ):
        assert part in line


def test_nothing_from_outside_is_taken_for_html():
    line = html.result_line("<b>", "<i>", "<u>", {}, 1, None, ("<script>",))
    assert not any(tag in line.replace("<b>&lt;b&gt;", "") for tag in ("<i>", "<u>", "<script>"))
