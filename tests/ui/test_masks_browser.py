"""The pure parts of the page's scripts, in an empty page: masks, their history, and where the picture lies."""

import numpy as np
import pytest
from scipy import ndimage

from moebius.ui.components import STATIC


@pytest.fixture(scope="module")
def scripts(browser):
    """A page with nothing but `page.masks` and `page.views`."""
    page = browser.new_page()
    for name in ("mask.js", "view.js"):
        page.evaluate(f"() => ({(STATIC / name).read_text(encoding='utf-8').rstrip()})((window.part ??= {{}}))")
    yield page
    page.close()


def painted(page, call: str, shape: tuple[int, int], *given) -> np.ndarray:
    """`call`: JavaScript that paints on `mask`, with `width`, `height` and `given` at hand."""
    begin = "([height, width, ...given]) => { const mask = new Uint8Array(width * height);"
    code = f"{begin} {call}; return [...mask]; }}"
    return np.array(page.evaluate(code, [*shape, *given]), bool).reshape(shape)


@pytest.mark.parametrize(
    ("a", "b", "radius"),
    [((20, 10), (70, 40), 7), ((5, 5), (5, 5), 0.71), ((-4, 30), (200, 31), 3.5), ((40.3, 20.6), (41.1, 20.2), 1)],
)
def test_a_line_is_every_pixel_that_lies_near_it(scripts, a, b, radius):
    got = painted(
        scripts,
        "part.masks.line(mask, width, height, {x: given[0], y: given[1]}, {x: given[2], y: given[3]}, given[4], 1)",
        (50, 90),
        *a,
        *b,
        radius,
    )
    y, x = np.mgrid[:50, :90] + 0.5
    (ax, ay), (bx, by) = a, b
    length = (bx - ax) ** 2 + (by - ay) ** 2
    share = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1) if length else 0
    expected = np.hypot(x - ax - share * (bx - ax), y - ay - share * (by - ay)) <= radius
    np.testing.assert_array_equal(got, expected)
    assert got.any()


def test_an_outline_is_filled_by_the_even_odd_rule_and_a_rectangle_is_one(scripts):
    corners = [[2, 2], [40, 2], [40, 30], [2, 30], [2, 10], [30, 10], [30, 20], [10, 20], [10, 5], [2, 5]]
    call = "part.masks.polygon(mask, width, height, given[0].map(([x, y]) => ({x, y})), 1)"
    got = painted(scripts, call, (36, 48), corners)
    y, x = np.mgrid[:36, :48] + 0.5
    inside = np.zeros((36, 48), bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        if ay != by:
            inside ^= ((ay <= y) != (by <= y)) & (x > ax + (y - ay) / (by - ay) * (bx - ax))
    np.testing.assert_array_equal(got, inside)
    got = painted(scripts, "part.masks.rectangle(mask, width, height, {x: 30, y: -9}, {x: 11, y: 8}, 1)", (36, 48))
    expected = np.zeros((36, 48), bool)
    expected[:8, 11:30] = True
    np.testing.assert_array_equal(got, expected)


def test_a_mask_at_the_edge_grows_and_shrinks_as_by_definition(scripts):
    rng = np.random.default_rng(0)
    for shape, share in (((31, 47), 0.02), ((31, 47), 0.9), ((1, 9), 0.3), ((20, 20), 0.0), ((20, 20), 1.0)):
        mask = rng.random(shape) < share
        for name, radius in (("grow", 1), ("grow", 5), ("shrink", 1), ("shrink", 3)):
            call = "mask.set(part.masks.CHANGES[given[0]](Uint8Array.from(given[1]), width, height, given[2]))"
            got = painted(scripts, call, shape, name, mask.astype(int).ravel().tolist(), radius)
            y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
            change = ndimage.binary_dilation if name == "grow" else ndimage.binary_erosion
            expected = change(mask, x**2 + y**2 <= radius**2, border_value=name == "shrink")
            np.testing.assert_array_equal(got, expected, f"{name} {radius} {share}")


def test_each_step_is_undone_and_redone_and_what_changes_nothing_is_no_step(scripts):
    told = scripts.evaluate("""() => {
        const mask = new Uint8Array(21), history = new part.masks.History(mask), told = [];
        for (const at of [0, 8, 20]) { mask[at] = 1; told.push(history.add(mask)); }
        told.push(history.add(mask), [...history.undo()], [...history.undo()], [...history.redo()]);
        mask.fill(1);
        told.push(history.add(mask), history.redo(), [...history.undo()], part.masks.bounds(mask, 7, 3));
        return [...told, part.masks.bounds(new Uint8Array(21), 7, 3)];
    }""")
    one, two, three = (np.zeros(21, int) for _ in range(3))
    one[0] = two[[0, 8]] = three[[0, 8, 20]] = 1
    expected = [True, True, True, False, list(two), list(one), list(two), True, None, list(two), [0, 0, 7, 3], None]
    assert told == expected


def test_the_picture_fits_is_zoomed_about_a_point_and_does_not_leave_the_stage(scripts):
    told = scripts.evaluate("""() => {
        const {fit, zoom, around, toPicture, within} = part.views, picture = {width: 400, height: 200};
        const stage = {width: 1000, height: 1000}, whole = fit(picture, stage), at = {x: 300, y: 500};
        const twice = zoom(whole, 2, at, at, picture, stage);
        return [whole, toPicture(whole, at), toPicture(twice, at), twice.scale,
            zoom(twice, 1e-9, at, at, picture, stage),
            within({scale: 10, x: 50, y: -5000}, picture, stage), around([190, 90, 210, 110], picture, stage)];
    }""")
    whole, before, after, scale, small, edge, close = told
    assert whole == {"scale": 2.5, "x": 0, "y": 250} == small
    assert before == after and scale == 5
    assert edge == {"scale": 10, "x": 0, "y": -1000}
    assert close == {"scale": 25, "x": -4500, "y": -2000}
