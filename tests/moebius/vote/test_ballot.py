"""A ballot is read whole or refused; every voter has an order and sides of their own, the same every time."""

import json

import pytest

from moebius.vote.ballot import FILE, Comparison, is_swapped, next_comparison, order, read_ballot


@pytest.fixture
def folder(tmp_path):
    rows = []
    for photo in range(6):
        files = {"": f"{photo}.jpg", "a": f"{photo}a.jpg", "b": f"{photo}b.jpg", "c": f"{photo}c.jpg"}
        for name in files.values():
            (tmp_path / name).write_bytes(b"x")
        rows.append({"id": f"p{photo}", "group": "g", "photo": files.pop(""), "fills": files})
    (tmp_path / FILE).write_text(json.dumps({"name": "n", "identity": "i", "photos": rows}))
    return tmp_path


def test_every_two_models_on_every_photo_in_an_order_of_each_voter(folder):
    ballot = read_ballot(folder)
    pairs = (("a", "b"), ("a", "c"), ("b", "c"))
    every = {Comparison(f"p{photo}", *pair) for photo in range(6) for pair in pairs}
    one, other = order(ballot, "0" * 32), order(ballot, "1" * 32)
    assert set(one) == set(other) == every and len(one) == len(every)
    assert one == order(read_ballot(folder), "0" * 32) != other
    sides = [is_swapped(ballot, f"{voter:032x}", comparison) for voter in range(50) for comparison in every]
    assert 0.4 < sum(sides) / len(sides) < 0.6
    assert next_comparison(ballot, "0" * 32, one[:3]) == one[3] and next_comparison(ballot, "0" * 32, one) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["photos"][0].update(photo="../p.jpg"), "not there: ../p.jpg"),
        (lambda content: content["photos"][0].update(photo="gone.jpg"), "not there: gone.jpg"),
        (lambda content: content["photos"][0]["fills"].pop("a"), "no fill of some photo"),
        (lambda content: content.pop("identity"), "KeyError"),
        (lambda content: content.update(photos=[]), "nothing to compare"),
        (lambda content: content.update(photos=[1]), "no ballot"),
    ],
)
def test_a_ballot_that_is_not_whole_is_refused(folder, change, message):
    content = json.loads((folder / FILE).read_text())
    change(content)
    (folder / FILE).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        read_ballot(folder)
