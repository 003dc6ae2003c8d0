"""The pieces pages are laid out from: filters, cards, galleries, review buttons."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from whalecam.app.charts.audit_charts import PROPERTIES
from whalecam.app.charts.audit_charts import WORDS as WORDS_OF_VERDICTS
from whalecam.app.components.canvas import Layer
from whalecam.app.components.gallery import Card, gallery, late_event, selected_now
from whalecam.app.screens import reliance_panel
from whalecam.app.screens.reliance_panel import is_measured
from whalecam.app.shell import links
from whalecam.app.shell.page_frame import errors_shown, plain
from whalecam.app.state import fields, pending, reviewer_name, session
from whalecam.app.state.pending import ReviewAction
from whalecam.app.widgets import filters, review_actions
from whalecam.app.widgets.filters import QUEUE, View
from whalecam.arrays import typed_records
from whalecam.config import OTHER, REVIEW_VERDICTS, WRONG_MASK
from whalecam.data import geometry
from whalecam.explain import score
from whalecam.store.run import Run
from whalecam.store.table import ListedRow, Overlay, Table
from whalecam.text import number, percent
from whalecam.words import Words

UNDO_HINT = "Take back your last action, from whatever page and day (key Z)"
REDO_HINT = "Restore what your last undo took back, unless you signed something since (key Y)"
Detail = Callable[[Run, Table, str], None]


def reasons(words: Words) -> tuple[str, ...]:
    """What a verdict may rest on, for the choice of a reviewer."""
    seen = (words.background, "sky", "boat", f"other {words.subject}", "text")
    return tuple(dict.fromkeys((*seen, "wrong label", WRONG_MASK, "not assessable")))


def layer_of(
    row: ListedRow,
    maps: NDArray[np.float32] | None,
    classes: Sequence[str],
    resize: str,
    *,
    kind: str = "relative",
    of: str | None = None,
    against: str | None = None,
    top: float | None = None,
) -> Layer | None:
    """The heat of one image for one class (default: the predicted one); None where there is no map.

    Args:
        maps: evidence in logits, shape (classes, h, w).
        top: value at full colour, in logits; None scales this image to its own largest value.
    """
    name = of or row["predicted"]
    if maps is None or name is None or name not in classes:
        return None
    other = list(classes).index(against) if against is not None and against in classes else None
    values = score.contrast(maps, kind, list(classes).index(name), other)
    frame = geometry.frame_of(int(row["width"]), int(row["height"]), resize)
    return Layer.of(values, frame, top)


def cards_of(run: Run, table: Table, rows: pd.DataFrame, heat: bool = True) -> list[Card]:
    """One card per row: thumbnail, actual / predicted / loss / probability, file name, verdict, review."""
    overlays = table.overlays_of(rows["image"].tolist()) if heat else {}
    none = Overlay(None, None)
    resize = str(run.manifest.network.get("resize", "squish"))
    return [
        Card(
            image=row["image"],
            thumb_uri=session.thumb_uri(run, row["image"]),
            title=str(row["label"]),
            lines=_lines(row),
            badge=str(row["assessment"]),
            carrier=_carrier(row, run.words.background),
            review=_text(row["review"]),
            layer=layer_of(row, overlays.get(row["image"], none).maps, run.manifest.classes, resize),
            mask_bits=overlays.get(row["image"], none).mask_bits,
            tooltip=_text(row["reason"]),
        )
        for row in typed_records(rows, ListedRow)
    ]


def reviewing_gallery(run: Run, view: View, key: str, detail: Detail | None = None) -> None:
    """A gallery with review by button and key on whatever is selected; opening goes to Heatmaps.

    A verdict draws the gallery anew and nothing else.

    Args:
        detail: draws more about an image, below the cards in view, while it alone is selected.
    """
    with view.body:
        _reviewing(run, view, key, detail)


@st.fragment
def _reviewing(run: Run, view: View, key: str, detail: Detail | None) -> None:
    with errors_shown(), session.drawing_verdicts():
        table = session.table_of(run)
        rows = view.rows(table)
        _reviewed(run, cards_of(run, table, rows), key, detail and functools.partial(detail, run, table))


def _reviewed(run: Run, cards: list[Card], key: str, detail: Callable[[str], None] | None) -> None:
    bar = st.container(key=f"{key}_reviewbar")
    review_actions.empty_words()
    hand = review_actions.signer(run, key)
    outcome, known = hand.results.outcomes.get(key), reasons(run.words)
    event = gallery(cards, key=key, outcome=outcome, reasons=len(known)) if cards else late_event(key)
    if event.key in REVIEW_VERDICTS and event.selected:
        review_actions.decide(hand, event.selected, event.key, gallery=key, by_key=True)
    elif event.key in review_actions.STEPS:
        review_actions.step(hand, event.key)
    elif event.key and event.key.isdecimal():
        review_actions.take_reason(hand, event.key, known)
    if event.opened:
        open_image(event.opened, key)
    with bar:
        review_bar(run, event.selected, key, of_gallery=True)
    if not cards:
        st.info("No image passes these filters. Clear one of them.", icon=":material/filter_alt_off:")
    with st.container(key=f"{key}_detail"):
        if detail and len(event.selected) == 1:
            detail(event.selected[0])


def review_bar(
    run: Run, images: tuple[str, ...], key: str, of_gallery: bool = False, *, following: str | None = None
) -> None:
    """Verdict buttons for `images`, with reason, note and suggested label, which are empty again after a verdict.

    With `of_gallery`, the buttons sign what is selected in the gallery `key` when they are pressed. After a verdict,
    the image `following` is shown large.
    """
    review_actions.empty_words()
    given = None if of_gallery else images
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key=f"{key}_reviewline"):
        signed = "the selected images" if of_gallery else plain(images[0])
        for verdict, icon, hint in (
            ("flag", ":material/flag:", "F"),
            ("keep", ":material/check:", "K"),
            ("unsure", ":material/help:", "U"),
        ):
            st.button(
                verdict.capitalize(),
                key=f"{key}_{verdict}",
                icon=icon,
                type="primary" if verdict == "flag" else "secondary",
                disabled=not images,
                help=f"Sign {signed}: {verdict} (key {hint})",
                on_click=_remember,
                args=(verdict, given, key),
            )
        _words(run, key)
        st.button(
            "Reject mask",
            key=f"{key}_reject",
            icon=":material/content_cut:",
            disabled=not images,
            help=f"The outline is not the {run.words.subject}: sign that, and leave the image out of all scores",
            on_click=_remember,
            args=("reject", given, key),
        )
        for name, icon, hint in (("undo", ":material/undo:", UNDO_HINT), ("redo", ":material/redo:", REDO_HINT)):
            arguments = (name, (), key)
            st.button(name.capitalize(), key=f"{key}_{name}", icon=icon, help=hint, on_click=_remember, args=arguments)
    _carry_out(run, key, following)
    _ask_name(key)


def _words(run: Run, key: str) -> None:
    """Reason, note and suggested label, in a form that opens on demand and says whether anything stands in it."""
    at = {name: review_actions.field_key(key, name) for name in review_actions.FIELDS}
    given = review_actions.words_given(key)
    label = next((plain(word[:24]) for word in given.values() if word), "Reason, note")
    known = reasons(run.words)
    numbered = {reason: f"{place} · {reason}" for place, reason in enumerate(known, 1)}
    with st.popover(label, icon=":material/edit_note:", key=f"{key}_words"):
        if by_key := session.results().reason:
            place = known.index(by_key) + 1 if by_key in known else ""
            st.caption(f"Reason, by its key: **{plain(by_key)}**. The key {place} again takes it back.")
        look: dict[str, Any] = {"format_func": lambda reason: numbered[reason], "help": f"Keys 1 to {len(known)}"}
        st.pills("Reason", known, key=at["reason"], on_change=review_actions.forget_reason, **look)
        st.text_input("Note", key=at["note"], placeholder="note", max_chars=500)
        hint = "suggested label"
        st.selectbox("Suggested label", run.manifest.classes, index=None, key=at["suggested_label"], placeholder=hint)


def _ask_name(key: str) -> None:
    """Who signs, asked where a verdict waits for it, which is then signed."""
    action = pending.UNSIGNED.get()
    if action is None or action.bar != key:
        return
    if session.reviewer():
        pending.UNSIGNED.clear()
        return
    with st.form(f"{key}_name_form", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        look: dict[str, Any] = {"placeholder": "your name, to sign verdicts", "label_visibility": "collapsed"}
        st.text_input("Your name", key=f"{key}_name", max_chars=60, width=260, **look)
        st.form_submit_button("Sign", type="primary", on_click=_take_name, args=(key,))


def _take_name(key: str) -> None:
    name, action = str(fields.value(f"{key}_name") or "").strip(), pending.UNSIGNED.get()
    if name and action:
        reviewer_name.give(name)
        pending.REVIEW.set(replace(action, is_first=True))
        pending.UNSIGNED.clear()


@st.fragment(run_every=2.0)
def news(run: Run) -> None:
    """Draw the page anew where somebody else has signed or undone something."""
    with errors_shown():
        if session.is_behind(run):
            st.rerun()


def open_image(image: str, key: str | None = None) -> None:
    """Show one image large.

    Args:
        key: of the list that it was opened from, whose filters and order the queue of the Heatmaps page takes over.
    """
    values = filters.handed_on(key, QUEUE) | {"image": image}
    if key:
        values["image_order"] = fields.value(f"{key}_order", "evidence")
    field = f"{QUEUE}_assessment"
    links.go("Heatmaps", {field: [WORDS_OF_VERDICTS[name] for name in values[field] or ()]}, **values)


def _remember(verdict: str, images: tuple[str, ...] | None, key: str) -> None:
    shown = selected_now(key) if images is None else images
    pending.REVIEW.set(ReviewAction(verdict, shown, key, of_gallery=images is None))


def _carry_out(run: Run, key: str, following: str | None) -> None:
    """Do what a button asked for: outside the callback, so that an error becomes a message on the page."""
    review_actions.say()
    action = pending.REVIEW.get()
    if action is None or action.bar != key:
        return
    hand = review_actions.signer(run, key)
    pending.REVIEW.clear()
    if action.verdict in review_actions.STEPS:
        review_actions.step(hand, action.verdict)
    elif action.images:
        gallery_key = key if action.of_gallery else ""
        whole = action.is_first
        review_actions.decide(
            hand, action.images, action.verdict, gallery=gallery_key, whole_page=whole, following=following
        )


def _lines(row: ListedRow) -> tuple[str, ...]:
    if not _text(row["predicted"]):
        return (row["image"], _text(row["reason"]))
    loss = f"loss {number(row['loss'])}" if is_measured(row["loss"]) else "label not among the classes"
    scores = [f"attention {number(row['attention_score'])}"] if is_measured(row["attention_score"]) else []
    if reliance_panel.is_listed(row, session.thresholds()):
        scores.append(reliance_panel.strength(row))
    lines = (row["image"], f"→ {row['predicted']} {percent(row['confidence'])} · {loss}", " · ".join(scores))
    return tuple(filter(None, lines))


def _carrier(row: ListedRow, background: str) -> str:
    """What of the background the prediction relies on, in words; "" where it does not, or nobody knows."""
    name = _text(row["reliance_on"])
    if not name or not reliance_panel.is_listed(row, session.thresholds()):
        return ""
    return f"the {background} as a whole" if name == OTHER else carrier_words(name, background)


def carrier_words(name: str, background: str) -> str:
    """What of the background a decision hangs on, in words."""
    return f"{'no single property' if name == OTHER else PROPERTIES.get(name, name)} of the {background}"


def _text(value: Any) -> str:
    return "" if value is None or pd.isna(value) else str(value)
