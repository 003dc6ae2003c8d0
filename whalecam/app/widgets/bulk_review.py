"""One verdict on many images: what a filter shows, or a finding lists; one action, so one undo takes it back."""

from collections.abc import Callable, Sequence

import streamlit as st

from whalecam.app.shell.page_frame import errors_shown
from whalecam.app.state import pending, session
from whalecam.app.widgets.review_controls import reasons
from whalecam.config import REVIEW_VERDICTS
from whalecam.store.reviews.messages import signed_message
from whalecam.store.run import Run

SIGNED = {"flag": "Flag", "keep": "Keep", "unsure": "Sign unsure for"}


def offer(run: Run, what: str, images: Callable[[], Sequence[str]], key: str) -> None:
    """A popover that signs one verdict for all of `images`, after saying how many and what they hold already.

    Args:
        what: the images in words, as in "shown by this filter".
        images: their names; asked only while the popover is open.
    """
    popover = st.popover(f"Sign all {what}", icon=":material/done_all:", key=f"{key}_bulk", on_change="rerun")
    if popover.open:
        with popover, errors_shown():
            _form(run, what, list(dict.fromkeys(images())), key)


def _form(run: Run, what: str, images: list[str], key: str) -> None:
    reviewed = set(session.latest_reviews(run)["image"]) & set(images)
    st.markdown(f"**{len(images):,}** images {what}, {len(reviewed):,} of them with a verdict.")
    fresh = st.checkbox("Only those without a verdict", value=True, key=f"{key}_bulk_fresh")
    wanted = tuple(image for image in images if not fresh or image not in reviewed)
    verdict = str(
        st.segmented_control("Verdict", REVIEW_VERDICTS, default="flag", key=f"{key}_bulk_verdict", required=True)
    )
    reason = st.pills("Reason", reasons(run.words), key=f"{key}_bulk_reason")
    note = st.text_input("Note", key=f"{key}_bulk_note", max_chars=500, placeholder="note")
    label = f"{SIGNED[verdict]} {len(wanted):,} image{'' if len(wanted) == 1 else 's'}"
    if st.button(
        label, key=f"{key}_bulk_sign", type="primary", disabled=not wanted, on_click=_keep, args=(key, wanted)
    ):
        hand = session.signer(run, reason=reason or "", note=note)
        added = hand.sign(pending.bulk_review(key).pop() or (), verdict)
        undo = ". One undo takes all of them back." if added.images else ""
        hand.results.written(signed_message(verdict, added) + undo, len(added.images))
        st.rerun()
    st.caption("Undo on any page (key Z) takes all of them back at once.")


def _keep(key: str, images: tuple[str, ...]) -> None:
    """Sign the images that the button counted, whatever somebody else has signed since it was drawn."""
    pending.bulk_review(key).set(images)
