"""The Vote tab: two fills of one photo side by side, names hidden; a key or a button says which is better."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass
from html import escape

import gradio as gr

from moebius import environment
from moebius.ui.handlers import plain_errors
from moebius.vote import ballot as ballots
from moebius.vote.ballot import MAX_PICTURE_BYTES, Ballot, Comparison
from moebius.vote.limit import RateLimit
from moebius.vote.store import EQUAL, FIRST, FLAW, SECOND, SKIP, VoteStore

VOTER = re.compile(r"[0-9a-f]{32}")
"""What a browser keeps: a random number that stands for its voter."""
LEFT, RIGHT = "left", "right"
BUTTONS = (
    (LEFT, "Left is better (1)"),
    (RIGHT, "Right is better (2)"),
    (EQUAL, "Equally good (0)"),
    (FLAW, "Same flaw in both (F)"),
    (SKIP, "Skip (S)"),
)
TAKE_BACK = "Take back my last vote (Z)"
WHO = """
() => {
    const hex = (byte) => byte.toString(16).padStart(2, "0");
    const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map(hex).join("");
    try {
        const known = localStorage.getItem("moebius-voter") ?? random();
        localStorage.setItem("moebius-voter", known);
        return [known];
    } catch { return [random()]; } // a browser that keeps nothing
}
"""
"""JavaScript: the number that this browser has kept, a new one where there is none. gr.BrowserState is not read while
its tab is not open."""
INTRODUCTION = (
    "<p class='about'>What was outlined in the upper picture was removed from the photo, in two ways. Which one looks "
    "better? Your votes are kept under a random number in this browser, without your address or the time.</p>"
)
NOTHING = (
    "<p class='about'>There is nothing to vote on yet: <code>python -m eval vote -o results/</code> prepares it.</p>"
)


@dataclass(frozen=True)
class Voting:
    """The ballot and its votes."""

    ballot: Ballot
    store: VoteStore
    limit: RateLimit

    def open(self, voter: object) -> tuple[str, str, str]:
        """What a browser sees first: its voter's number (a new one where it has none), ticket, HTML."""
        name = voter if isinstance(voter, str) and VOTER.fullmatch(voter) else secrets.token_hex(16)
        return name, *self._shown(name)

    def vote(self, voter: str, ticket: str, choice: str) -> tuple[str, str]:
        """Keep a vote on what `ticket` names; the next ticket and its HTML.

        `choice`: LEFT, RIGHT, EQUAL, FLAW or SKIP. A vote that is there already is not changed: a second click on a
        slow page, or a second window, counts once.

        Raises:
            ValueError: no such voter or choice, or votes come too fast.
        """
        self._check(voter)
        if choice not in dict(BUTTONS):
            raise ValueError(f"a vote must be one of {', '.join(dict(BUTTONS))}, got {str(choice)[:40]!r}")
        one = self._named(voter, ticket)
        if one:
            self.limit.count(voter)
            if choice in (LEFT, RIGHT):
                left_is_first = not ballots.is_swapped(self.ballot, voter, one)
                choice = FIRST if (choice == LEFT) == left_is_first else SECOND
            self.store.add(voter, one, choice)
        return self._shown(voter)

    def take_back(self, voter: str) -> tuple[str, str]:
        """Delete this voter's last vote and show what it was on."""
        self._check(voter)
        self.limit.count(voter)
        return self._shown(voter, self.store.take_back(voter))

    def _check(self, voter: object) -> None:
        if not (isinstance(voter, str) and VOTER.fullmatch(voter)):
            raise ValueError("this browser has no voter's number; open the page anew")

    def _named(self, voter: str, ticket: str) -> Comparison | None:
        return next((one for one in self.ballot.comparisons if ballots.ticket(self.ballot, voter, one) == ticket), None)

    def _shown(self, voter: str, one: Comparison | None = None) -> tuple[str, str]:
        """Ticket and HTML of a comparison, or of the voter's next."""
        done = self.store.done(voter)
        one = one or ballots.next_comparison(self.ballot, voter, done)
        total = len(self.ballot.comparisons)
        if one is None:
            return "", f"<p class='about' id='vote-done'>That was all: {total} of {total}. Thank you.</p>"
        models = (one.first, one.second)
        left, right = reversed(models) if ballots.is_swapped(self.ballot, voter, one) else models
        ticket = ballots.ticket(self.ballot, voter, one)
        return ticket, _page(
            ticket,
            f"{len(done) + 1} of {total}",
            _picture(self.ballot, one.photo, None),
            _picture(self.ballot, one.photo, left),
            _picture(self.ballot, one.photo, right),
        )


def _picture(ballot: Ballot, photo: str, model: str | None) -> str:
    """A data address: a file's name could say which model it is."""
    path = ballot.photos[photo] if model is None else ballot.fills[photo, model]
    if path.stat().st_size > MAX_PICTURE_BYTES:
        raise ValueError(f"a picture of this vote has more than {MAX_PICTURE_BYTES:,} bytes")
    kind = "png" if path.suffix == ".png" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _page(ticket: str, count: str, photo: str, left: str, right: str) -> str:
    return (
        f'<div class="vote" data-ticket="{ticket[:12]}"><figure class="asked"><img src="{photo}" alt="The photo, what '
        f'was removed outlined"><figcaption>{escape(count)}</figcaption></figure>'
        f'<figure><img src="{left}" alt="Left: the photo without it"></figure>'
        f'<figure><img src="{right}" alt="Right: the photo without it"></figure></div>'
    )


def is_on() -> bool:
    """Whether the page has the tab."""
    return environment.VOTE.read()


def open_voting() -> Voting | None:
    """Of the ballot in the folder of results; None where there is none.

    Raises:
        ValueError: the ballot cannot be read.
    """
    folder = environment.RESULTS.read() / "vote"
    if not (folder / ballots.FILE).is_file():
        return None
    ballot = ballots.read_ballot(folder)
    return Voting(ballot, VoteStore(folder / ballots.VOTES, ballot.identity), RateLimit())


def vote_tab(page: gr.Blocks) -> None:
    """The tab's content."""
    voting = open_voting()
    gr.HTML(INTRODUCTION if voting else NOTHING, padding=False)
    if voting is None:
        return
    # both are the browser's, so that a page that outlives a restart of the server still votes on what it shows
    voter, ticket = gr.Textbox(visible=False), gr.Textbox(visible=False)
    shown = gr.HTML(elem_id="vote", padding=False)
    events = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": 1, "concurrency_id": "vote"}
    with gr.Row(elem_id="vote-buttons"):
        for choice, label in BUTTONS:
            button = gr.Button(label, elem_id=f"vote-{choice}", min_width=120)
            chosen = gr.State(choice)
            button.click(plain_errors(voting.vote), [voter, ticket, chosen], [ticket, shown], **events)
        back = gr.Button(TAKE_BACK, elem_id="vote-back", min_width=120, variant="secondary")
    back.click(plain_errors(voting.take_back), voter, [ticket, shown], **events)
    page.load(plain_errors(voting.open), voter, [voter, ticket, shown], js=WHO, **events)
