"""What people read after an action: which images it touched, by name, and which it left as they were."""

from collections.abc import Sequence

from whalecam.store.reviews.journal import Added

DONE = {"flag": "flagged", "keep": "kept", "unsure": "signed unsure", "reject": "mask rejected:"}
"""Verdict → the word before the name of a file."""
STATE = {"flag": "flagged", "keep": "kept", "unsure": "signed unsure", "reject": "rejected"}
STEPS = {"undo": "undone", "redo": "done again"}


def signed_message(verdict: str, added: Added) -> str:
    """For example "flagged 00052.jpg and 5 more", and how many stood so already; `verdict` may be `reject`, a mask."""
    same = len(added.unchanged)
    if added.images:
        already = f"; {same:,} {'was' if same == 1 else 'were'} {STATE[verdict]} already" if same else ""
        return f"{DONE[verdict]} {named(added.images)}{already}"
    subject = f"the mask of {named(added.unchanged)}" if verdict == "reject" else named(added.unchanged)
    return f"{subject} {'is' if same == 1 else 'are'} {STATE[verdict]} already; nothing was written"


def step_message(step: str, images: Sequence[str]) -> str:
    """What `undo` or `redo` did to which images, for example "undone: 00052.jpg and 5 more"."""
    return f"{STEPS[step]}: {named(images)}" if images else f"nothing to {step}"


def named(images: Sequence[str]) -> str:
    """The first image by its name, and how many more there are."""
    return f"{images[0]} and {len(images) - 1:,} more" if len(images) > 1 else images[0]
