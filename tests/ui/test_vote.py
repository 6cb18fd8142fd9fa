"""Two voters at once in a browser, the server killed and started again in between: no vote is lost or counted twice."""

import json
import signal

import numpy as np
import pytest
from PIL import Image

from moebius.ui import vote as tab
from moebius.ui.vote import LEFT, RIGHT, Voting
from moebius.vote import ballot as ballots
from moebius.vote.ballot import read_ballot
from moebius.vote.limit import RateLimit
from moebius.vote.store import VoteStore
from tests.helpers.browser import DESKTOP, PATIENCE_MS
from tests.helpers.page_server import serve

PHOTOS = 4


def write_ballot(folder) -> None:
    folder.mkdir(parents=True)
    rows = []
    for photo in range(PHOTOS):
        files = {"": f"{photo}0.jpg", "one": f"{photo}1.jpg", "two": f"{photo}2.jpg"}
        for place, name in enumerate(files.values()):
            pixels = np.full((48, 64, 3), 60 * photo + 20 * place, np.uint8)
            Image.fromarray(pixels).save(folder / name)
        rows.append({"id": f"p{photo}", "group": f"p{photo}", "photo": files.pop(""), "fills": files})
    (folder / ballots.FILE).write_text(json.dumps({"name": "n", "identity": "i", "photos": rows}))


@pytest.fixture
def voting(tmp_path):
    write_ballot(tmp_path / "vote")
    ballot = read_ballot(tmp_path / "vote")
    return Voting(ballot, VoteStore(tmp_path / "votes.sqlite", ballot.identity), RateLimit())


def test_left_and_right_become_models_and_nothing_shown_names_them(voting):
    voter, ticket, html = voting.open("no number")
    assert tab.VOTER.fullmatch(voter) and voting.open(voter)[0] == voter
    asked = ballots.order(voting.ballot, voter)
    for number, one in enumerate(asked):
        assert f"{number + 1} of {PHOTOS}" in html
        for word in (one.photo, "one", "two"):
            assert f'"{word}' not in html and word not in html.replace("without", "").split("base64,")[0]
        choice = (LEFT, RIGHT)[number % 2]
        stale, (ticket, html) = ticket, voting.vote(voter, ticket, choice)
        voting.vote(voter, stale, RIGHT if choice == LEFT else LEFT)  # a second click, of another mind, counts nothing
    kept = voting.store.votes()
    assert [vote.comparison for vote in kept] == asked and "vote-done" in html
    for number, vote in enumerate(kept):
        left = "second" if ballots.is_swapped(voting.ballot, voter, vote.comparison) else "first"
        right = "first" if left == "second" else "second"
        assert vote.choice == (left, right)[number % 2]
    ticket, html = voting.take_back(voter)
    assert len(voting.store.votes()) == PHOTOS - 1 and ticket == ballots.ticket(voting.ballot, voter, asked[-1])


def test_what_no_page_sends_is_refused(voting):
    voter, ticket, _ = voting.open(None)
    for wrong in ("", "A" * 32, None, {"a": 1}):
        with pytest.raises(ValueError, match="no voter's number"):
            voting.vote(wrong, ticket, LEFT)
    with pytest.raises(ValueError, match="must be one of left"):
        voting.vote(voter, ticket, "first")
    voting.vote(voter, "0" * 64, LEFT)
    assert voting.store.votes() == []


def votes_of(folder):
    ballot = read_ballot(folder)
    store = VoteStore(folder / ballots.VOTES, ballot.identity)
    found = store.votes()
    store.close()
    return found


def answer(page, key: str) -> None:
    """Vote by a key, and wait for the next pair."""
    before = page.locator("#vote .vote").get_attribute("data-ticket")
    page.keyboard.press(key)
    page.keyboard.press(key)  # too fast: what is shown was voted on
    page.wait_for_function(
        "(before) => document.querySelector('#vote-done') || "
        "document.querySelector('#vote .vote')?.dataset.ticket !== before",
        arg=before,
    )


def test_two_voters_at_once_and_a_killed_server(browser, tmp_path):
    folder = tmp_path / "results" / "vote"
    write_ballot(folder)
    variables = {"MOEBIUS_VOTE": "1", "MOEBIUS_RESULTS": str(tmp_path / "results")}
    storages = []
    for keys in (("1", "f"), ("s", "2")):
        with serve(tmp_path, **variables) as server:
            pages = []
            contexts = []
            for number in range(2):
                state = storages[number] if storages else None
                if state:  # what a browser keeps belongs to an address; this server has another port
                    state["origins"][0]["origin"] = server.url
                context = browser.new_context(**DESKTOP, storage_state=state)
                context.set_default_timeout(PATIENCE_MS)
                page = context.new_page()
                page.goto(server.url)
                page.locator("#vote-tab-button").click()
                page.locator("#vote .vote img").first.wait_for()
                for styled in (".vote figure.asked", ".vote .asked img", ".vote figcaption", "#vote-left"):
                    page.locator(styled).first.wait_for(state="attached")
                pages.append(page), contexts.append(context)
            for key in keys:
                for page in pages:
                    answer(page, key)
            storages = [context.storage_state() for context in contexts]
            done = [page.locator("#vote-done").count() for page in pages]
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            for context in contexts:
                context.close()
    votes = votes_of(folder)
    voters = sorted({vote.voter for vote in votes})
    assert done == [1, 1] and len(votes) == 2 * PHOTOS and len(voters) == 2
    ballot = read_ballot(folder)
    for voter in voters:
        own = [vote for vote in votes if vote.voter == voter]
        assert [vote.comparison for vote in own] == ballots.order(ballot, voter)
        assert [vote.choice for vote in own][1:3] == ["flaw", "skip"]


def test_the_tab_says_what_to_do_without_a_ballot(tmp_path, monkeypatch):
    monkeypatch.setenv("MOEBIUS_RESULTS", str(tmp_path))
    assert tab.open_voting() is None and not tab.is_on()
    monkeypatch.setenv("MOEBIUS_VOTE", "1")
    assert tab.is_on()
