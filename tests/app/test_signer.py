"""What a page still has to show of its own session's verdicts, and of those of others."""

import pytest

from whalecam.app.widgets import signer
from whalecam.app.widgets.signer import Results

URL = "sqlite:///reviews.sqlite"


def shown(entries: int) -> Results:
    """A page that shows so many entries of the journal."""
    return Results(entries=(URL, entries))


def test_a_page_is_behind_where_somebody_else_has_signed_or_another_journal_is_open() -> None:
    assert not shown(3).is_behind(URL, 3)
    assert shown(3).is_behind(URL, 4)
    assert shown(3).is_behind("sqlite:///other.sqlite", 3)


def test_own_verdicts_do_not_draw_the_page_anew_before_or_after_their_cards_are_drawn() -> None:
    results = shown(3)
    results.written("flagged a", 1)
    assert not results.is_behind(URL, 4), "its cards are about to be drawn"
    results.drawn(results.waiting)
    assert not results.is_behind(URL, 4)
    assert (results.entries, results.waiting) == ((URL, 4), 0)


def test_a_verdict_of_somebody_else_in_between_is_still_to_be_shown() -> None:
    results = shown(3)
    results.written("flagged a", 1)
    assert results.is_behind(URL, 5)
    results.drawn(1)
    assert results.is_behind(URL, 5)


def test_a_verdict_whose_cards_were_never_drawn_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signer, "DRAWN_S", -1.0)
    results = shown(3)
    results.written("done again: a", 1)
    assert results.is_behind(URL, 4)
    results.drawn(1)
    assert not results.is_behind(URL, 4)


def test_a_verdict_written_while_the_cards_are_drawn_stays_to_be_shown() -> None:
    results = shown(0)
    results.written("flagged a", 1)
    drawing = results.waiting
    results.written("flagged b", 1)
    results.drawn(drawing)
    assert (results.entries, results.waiting) == ((URL, 1), 1)
