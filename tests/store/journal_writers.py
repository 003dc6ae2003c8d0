"""What other processes do to a journal: a module of its own, which they import and nothing beside it."""

from whalecam.store.reviews import Journal, Review


def review_in_turn(url: str, worker: int, verdicts: int) -> None:
    journal = Journal(url)
    for number in range(verdicts):
        journal.add([Review(f"{number}.jpg", "flag", f"reviewer {worker}", note=f"{worker}-{number}")])


def undo_some(url: str, times: int) -> None:
    journal = Journal(url)
    for _ in range(times):
        journal.undo("ana")


def open_journal(url: str) -> None:
    Journal(url)
