"""What a button asks for in its callback and a run of the page carries out, so that an error becomes a message."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import streamlit as st

from whalecam.commands import Train
from whalecam.store.views import SavedView

Action = TypeVar("Action")


class Pending(Generic[Action]):
    """One action of a session that waits to be carried out."""

    def __init__(self, name: str) -> None:
        self._key = f"_pending_{name}"

    def set(self, action: Action) -> None:
        """Let `action` wait, in place of what waits already."""
        st.session_state[self._key] = action

    def get(self) -> Action | None:
        """What waits, if anything; it goes on waiting."""
        action: Action | None = st.session_state.get(self._key)
        return action

    def pop(self) -> Action | None:
        """What waits, if anything; it waits no longer."""
        action: Action | None = st.session_state.pop(self._key, None)
        return action

    def clear(self) -> None:
        """Let nothing wait."""
        st.session_state.pop(self._key, None)


@dataclass(frozen=True)
class ReviewAction:
    """A verdict, `undo` or `redo`, from the review bar `bar`.

    Attributes:
        of_gallery: whether the images were selected in the gallery of the same name.
        is_first: whether the reviewer's name was given with it, which the whole page must hear of.
    """

    verdict: str
    images: tuple[str, ...]
    bar: str
    of_gallery: bool = False
    is_first: bool = False


@dataclass(frozen=True)
class Skip:
    """An image to put off, and the one to show in its place."""

    image: str
    following: str | None


@dataclass(frozen=True)
class FallbackQuestion:
    """A training whose pretrained weights cannot be had.

    Attributes:
        run: the folder of its run.
        problem: why the weights cannot be had, in words.
        command: the training.
    """

    run: str
    problem: str
    command: Train


@dataclass(frozen=True)
class MatchAction:
    """A verdict on a match, or `undo`."""

    verdict: str
    query: str
    candidate: str


MATCH = Pending[MatchAction]("match")
REVIEW = Pending[ReviewAction]("review")
UNSIGNED = Pending[ReviewAction]("unsigned")
"""A verdict that waits for the name of who signs it."""
GROUP_REVIEW = Pending[ReviewAction]("group_review")
"""A verdict on a group of images of the Patterns page."""
SKIP = Pending[Skip]("skip")
FALLBACK = Pending[FallbackQuestion]("fallback")


REMOVED_VIEW = Pending[SavedView]("removed_view")
"""The view that was deleted last, for whoever wants it back."""


def bulk_review(key: str) -> Pending[Sequence[str]]:
    """The images that the bulk review `key` is to sign."""
    return Pending(f"bulk_{key}")
