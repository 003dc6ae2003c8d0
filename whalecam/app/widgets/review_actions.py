"""Verdicts signed on a page, undone and done again; and what the page says of them afterwards."""

from collections.abc import Sequence

import streamlit as st
from streamlit.errors import StreamlitAPIException

from whalecam.app.shell.page_frame import plain
from whalecam.app.state import fields, image_in_view, pending, session
from whalecam.app.state.pending import ReviewAction
from whalecam.app.widgets.signer import Signer
from whalecam.errors import ReviewError
from whalecam.store.reviews.messages import named, signed_message, step_message
from whalecam.store.run import Run

STEPS = ("undo", "redo")
FIELDS = ("reason", "note", "suggested_label")
SINGLE = "one"
"""The review bar of the Heatmaps page."""


def signer(run: Run, key: str) -> Signer:
    """Who signs, with the words that stand in the review bar `key`; to be read before an event is taken."""
    return session.signer(run, **words_given(key))


def words_given(key: str) -> dict[str, str]:
    """Reason, note and suggested label for the next verdict; the reason that a key gave counts before the field's."""
    words = {name: str(fields.value(field_key(key, name)) or "") for name in FIELDS}
    return words | {"reason": session.results().reason or words["reason"]}


def take_reason(hand: Signer, pressed: str, reasons: Sequence[str]) -> None:
    """The reason of a key, from "1" on, for the next verdict; the same key again takes it back."""
    reason = reasons[int(pressed) - 1] if 0 < int(pressed) <= len(reasons) else ""
    hand.results.reason = "" if reason == hand.results.reason else reason
    start_over()


def forget_reason() -> None:
    """What is chosen in the field counts from now on."""
    session.results().reason = ""


def field_key(key: str, place: str) -> str:
    """The widget key of a field of the review bar `key`: another one after each verdict.

    The browser sends what stands in a field with every message, also while it has not heard yet that the field was
    emptied; under a new key, the words of one verdict cannot reach the next.
    """
    number = session.results().emptied
    return f"{key}_{place}_{number}" if number else f"{key}_{place}"


def empty_words() -> None:
    """Empty the review bar after a verdict: before it is drawn and before the next verdict reads it."""
    results = session.results()
    if results.signed:
        results.emptied += 1
        results.signed, results.reason = False, ""


def decide(
    hand: Signer,
    images: Sequence[str],
    verdict: str,
    *,
    gallery: str = "",
    by_key: bool = False,
    whole_page: bool = False,
    following: str | None = None,
) -> None:
    """Sign a verdict (see `Signer.sign`), note what is to be said of it, and draw anew.

    Without a reviewer's name the verdict waits for it: see `pending.UNSIGNED`.

    Args:
        gallery: the gallery whose images these are; its browser then moves on to the next image, which it has done
            already where a verdict was given `by_key`.
        whole_page: whether all of the page is drawn anew, and not its fragment alone.
        following: the image to show large afterwards, in place of that which was signed.
    """
    # Nothing from here to the notes may ask Streamlit: see `Signer`.
    results = hand.results
    try:
        added = hand.sign(images, verdict)
    except ReviewError as error:
        if not hand.reviewer:
            pending.UNSIGNED.set(ReviewAction(verdict, tuple(images), gallery or SINGLE, of_gallery=bool(gallery)))
        if not by_key:
            st.error(plain(str(error)), icon=":material/error:")
            return
        results.refuse(f"Not signed: {named(images)}. {error}")
        results.answer(gallery, "refused", images)
    else:
        results.written(signed_message(verdict, added), len(added.images))
        results.signed = True
        if gallery and not by_key:
            results.answer(gallery, "signed", images)
        if following:
            image_in_view.show_next(following)
        if following or whole_page or verdict == "reject":  # which changes every figure
            st.rerun()
    start_over()


def step(hand: Signer, name: str) -> None:
    """Undo or redo the reviewer's last action, given on whatever page and day, and note which images it touched."""
    try:
        images = hand.undo() if name == "undo" else hand.redo()
    except ReviewError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    hand.results.written(step_message(name, images), 1 if images else 0)
    start_over()


def say() -> None:
    """Show what came of the verdicts since the page was last drawn."""
    results = session.results()
    if why := results.refusal():
        st.error(plain(why), icon=":material/error:")
    while results.messages:
        st.toast(plain(results.messages.pop(0)), icon=":material/done:")


def start_over() -> None:
    """Run the fragment again that asks, or the page where it is the page that runs."""
    try:
        st.rerun(scope="fragment")
    except StreamlitAPIException:
        st.rerun()
