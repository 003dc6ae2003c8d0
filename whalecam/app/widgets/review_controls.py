"""The pieces pages are laid out from: filters, cards, galleries, review buttons."""

import functools
from collections.abc import Callable, Sequence
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
from whalecam.app.state import fields, pending, session
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
            lines=_lines(row, run.words.background),
            badge=str(row["assessment"]),
            review=_text(row["review"]),
            layer=layer_of(row, overlays.get(row["image"], none).maps, run.manifest.classes, resize),
            mask_bits=overlays.get(row["image"], none).mask_bits,
            tooltip=_text(row["reason"]),
        )
        for row in typed_records(rows, ListedRow)
    ]


@st.fragment
def reviewing_gallery(run: Run, view: View, key: str, detail: Detail | None = None) -> None:
    """A gallery with review by button and key on whatever is selected; opening goes to Heatmaps.

    A verdict draws the gallery anew and nothing else.

    Args:
        detail: draws more about an image, above the gallery, while it alone is selected.
    """
    with errors_shown(), session.drawing_verdicts():
        table = session.table_of(run)
        rows = view.rows(table)
        _reviewed(run, cards_of(run, table, rows), key, detail and functools.partial(detail, run, table))


def _reviewed(run: Run, cards: list[Card], key: str, detail: Callable[[str], None] | None) -> None:
    bar = st.container()
    review_actions.empty_words()
    hand = review_actions.signer(run, key)
    event = gallery(cards, key=key, outcome=hand.results.outcomes.get(key)) if cards else late_event(key)
    if event.key in REVIEW_VERDICTS and event.selected:
        review_actions.decide(hand, event.selected, event.key, key, by_key=True)
    elif event.key in review_actions.STEPS:
        review_actions.step(hand, event.key)
    if event.opened:
        open_image(event.opened, key)
    with bar:
        review_bar(run, event.selected, key, of_gallery=True)
        if detail and len(event.selected) == 1:
            detail(event.selected[0])
    if not cards:
        st.info("No image passes these filters. Clear one of them.", icon=":material/filter_alt_off:")


def review_bar(run: Run, images: tuple[str, ...], key: str, of_gallery: bool = False) -> None:
    """Verdict buttons for `images`, with reason, note and suggested label, which are empty again after a verdict.

    With `of_gallery`, the buttons sign what is selected in the gallery `key` when they are pressed.
    """
    review_actions.empty_words()
    given = None if of_gallery else images
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.markdown(f"**{len(images)}** selected" if len(images) != 1 else f"**{plain(images[0])}**")
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
                help=f"Sign the selected images: {verdict} (key {hint})",
                on_click=_remember,
                args=(verdict, given, key),
            )
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
    st.pills("Reason", reasons(run.words), key=review_actions.field_key(key, "reason"), label_visibility="collapsed")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Note", key=review_actions.field_key(key, "note"), placeholder="note", max_chars=500)
        at = review_actions.field_key(key, "suggested_label")
        st.selectbox("Suggested label", run.manifest.classes, index=None, key=at, placeholder="suggested label")
    _carry_out(run, key)


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


def _carry_out(run: Run, key: str) -> None:
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
        review_actions.decide(hand, action.images, action.verdict, key if action.of_gallery else "")


def _lines(row: ListedRow, background: str) -> tuple[str, ...]:
    if not _text(row["predicted"]):
        return (row["image"], _text(row["reason"]))
    lines = [row["image"], f"→ {row['predicted']} {percent(row['confidence'])}"]
    lines.append(f"loss {number(row['loss'])}" if is_measured(row["loss"]) else "label not among the classes")
    if is_measured(row["attention_score"]):
        lines[-1] += f" · attention {number(row['attention_score'])}"
    if reliance_panel.is_listed(row, session.thresholds()):
        carrier = _text(row["reliance_on"])
        part = f": {carrier_words(carrier, background)}" if carrier else ""
        lines.append(f"{reliance_panel.strength(row)}{part}")
    return tuple(lines)


def carrier_words(name: str, background: str) -> str:
    """What of the background a decision hangs on, in words."""
    return f"{'no single property' if name == OTHER else PROPERTIES.get(name, name)} of the {background}"


def _text(value: Any) -> str:
    return "" if value is None or pd.isna(value) else str(value)
