"""The Heatmaps page's queue: which images, in which order, what comes next, how far one is and how fast."""

from dataclasses import replace

import streamlit as st

from whalecam.app.shell.page_frame import errors_shown
from whalecam.app.state import fields, image_in_view, pending, reviewer_progress, session
from whalecam.app.state.pending import Skip
from whalecam.app.state.queue_cache import QueueOrder, queue_order
from whalecam.app.widgets import filters
from whalecam.config import SUSPECT_ASSESSMENTS
from whalecam.store.run import Run
from whalecam.store.table import ORDERS, Filters, Queue, Table, pace, with_controls
from whalecam.text import PERCENT_SLIDER, number

ALL, NEW, SUSPECTS = "all images", "new to me", "suspects new to me"
CONTROLS = 0.1
ADVANCE = "advance"
"""The switch that lets a verdict lead on to the next image."""
MOST = 5_000
"""Images in a queue: nobody judges more before the thresholds or the run change, and each must be held."""


def choose(run: Run, table: Table) -> Queue:
    """Order, choice and filters; returns the queue of this reviewer."""
    order = st.selectbox("Order", list(ORDERS), key="image_order", bind="query-params", help=_ORDER_HINT)
    which = st.selectbox("Queue", (ALL, NEW, SUSPECTS), key="image_queue", bind="query-params", help=_QUEUE_HINT)
    place = st.container(width="content")
    st.toggle("Next after a verdict", key=ADVANCE, bind="query-params", help="A verdict shows the next image at once.")
    share = _controls() if which == SUSPECTS else 0.0
    queue = queue_of(
        run, table, chosen=filters.choose(table, filters.QUEUE, run, place), order=order, which=which, share=share
    )
    session.hide_scores(queue.controls)
    return queue


def buttons(run: Run, queue: Queue, image: str) -> None:
    """Previous, next, skip, and where in the queue the image stands."""
    before, after = queue.before(image), queue.after(image)
    for name, arrow, goal in (("Previous", "chevron_left", before), ("Next", "chevron_right", after)):
        key, icon = f"queue_{name.lower()}", f":material/{arrow}:"
        st.button(name, key=key, icon=icon, disabled=goal is None, on_click=go, args=(goal,))
    hint = "Put this image off: it comes last, also after a reload (key S)"
    st.button("Skip", key="queue_skip", icon=":material/redo:", help=hint, on_click=_ask_to_skip, args=(image, after))
    place = queue.place(image)
    st.caption(f"{place + 1:,} of {len(queue.line):,}" if place >= 0 else f"beside a queue of {len(queue.line):,}")
    _carry_out_skip(run)


def next_of(queue: Queue, image: str) -> str | None:
    """The image that a verdict on this one leads on to; None where it stays, or is the last."""
    return queue.after(image) if fields.value(ADVANCE) else None


def start(queue: Queue) -> str:
    """The first image still to be judged; "" where there is none."""
    return next(iter(queue.left or queue.line), "")


def queue_of(run: Run, table: Table, *, chosen: Filters, order: str, which: str, share: float) -> Queue:
    """The queue as it stands: its order is kept until one of the choices or a threshold changes."""
    me, level = session.reviewer(), session.thresholds()
    key = (str(run.path), len(run.parts()), chosen, order, which == SUSPECTS, share, level, me if share else "")

    def make() -> QueueOrder:
        wanted = _suspects_of(chosen) if which == SUSPECTS else chosen
        names = tuple(table.images(wanted, order, MOST))
        if not share:
            return names, frozenset()
        others = table.images(Filters(assessments=("clean", "cosmetic", "not_tested")), "random", MOST)
        return with_controls(names, others, share, f"{me} {run.manifest.created}")

    names, controls = queue_order(key, make)
    done = frozenset[str]() if which == ALL else frozenset(reviewer_progress.reviewed(run)["image"])
    return Queue(names, done, reviewer_progress.skips(run).standing(me), controls)


def _suspects_of(chosen: Filters) -> Filters:
    """The suspects among what the filters let through."""
    verdicts = tuple(name for name in SUSPECT_ASSESSMENTS if not chosen.assessments or name in chosen.assessments)
    return replace(chosen, assessments=verdicts) if verdicts else replace(chosen, images=())


def progress(run: Run, queue: Queue) -> None:
    """How many are judged, how fast, how long it will take. Drawn anew with each verdict."""
    reviews = reviewer_progress.reviewed(run)
    own = len(set(queue.line) & set(reviews["image"]))
    if not session.reviewer():
        st.caption("Your first verdict asks for your name; then this line says how far you are.")
        return
    speed, left = pace(reviews), len(queue.line) - own
    words = [f"**{own:,} of {len(queue.line):,}** reviewed by you"]
    if speed:
        words.append(f"{number(speed, 1)} images a minute")
        words.append(f"about {max(1, round(left / speed)):,} min left" if left else "done")
    waiting = [name for name in queue.skipped if name in queue.left]
    if waiting:
        words.append(f"{len(waiting):,} skipped, at the end")
    st.progress(own / len(queue.line) if queue.line else 0.0)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(" · ".join(words))
        if waiting and st.button("Put nothing off", key="queue_resume", type="tertiary", icon=":material/undo:"):
            reviewer_progress.skips(run).end(session.reviewer())
            st.rerun()


def go(image: str | None) -> None:
    """Show another image in the next run, with an empty reason, note and label."""
    if image:
        image_in_view.show_next(image)


def skip(run: Run, image: str, after: str | None) -> None:
    """Put an image off and show the next one. Raises ReviewError without a reviewer's name."""
    reviewer_progress.skips(run).skip(image, session.reviewer())
    go(after)
    st.rerun()


def scores_are_hidden() -> None:
    """Stands where the scores would."""
    st.info(
        "Scores and assessments are hidden while blind controls are mixed in: some of these images are not "
        "suspect, and nothing here shows which. How often you flag those is on the Leaks page, under *Calibration "
        "and agreement*.",
        icon=":material/visibility_off:",
    )


_QUEUE_HINT = "New to me: not yet reviewed by you, whatever others decided."
_ORDER_HINT = (
    "Uncertainty: images whose assessment is nearest to changing at the present thresholds come first. "
    "Evidence: confirmed leaks first, the strongest in front."
)


def _controls() -> float:
    """The share of blind controls, 0 while they are off."""
    with st.popover("Blind controls", icon=":material/visibility_off:", key="queue_controls"):
        on = st.toggle("Mix controls in, hide the scores", key="controls_on", bind="query-params")
        percent = st.slider(
            "Share of controls", 5, 50, int(100 * CONTROLS), 5, format=PERCENT_SLIDER, key="controls_percent"
        )
        st.caption("Images that the audit does not suspect, the same for you in this run every time.")
    return percent / 100 if on else 0.0


def _ask_to_skip(image: str, after: str | None) -> None:
    pending.SKIP.set(Skip(image, after))


def _carry_out_skip(run: Run) -> None:
    """Outside the callback, so that an error becomes a message on the page."""
    if action := pending.SKIP.pop():
        with errors_shown():
            skip(run, action.image, action.following)
