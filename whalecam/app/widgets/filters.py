"""Filters, order and paging of a list of images, all of them in the URL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from whalecam.app.charts import places
from whalecam.app.charts.audit_charts import WORDS
from whalecam.app.shell.page_frame import plain
from whalecam.app.state import fields, page_number, reviewer_progress
from whalecam.app.widgets import chart_selection
from whalecam.config import ASSESSMENTS, SUSPECT_ASSESSMENTS
from whalecam.errors import DatasetError
from whalecam.store.run import Run
from whalecam.store.table import ORDERS, REVIEW_STATES, Filters, Table
from whalecam.words import capital

FieldValue = str | Sequence[str] | None
QUEUE = "queue"
"""The list that the queue of the Heatmaps page goes through."""
PAGE_SIZES = (24, 48, 96)
RIGHTNESS = {"right": True, "wrong": False}
NOT_MINE = "not yet judged by me"
SEEN = {"not trained on": False, "trained on": True}
NAMES = ("label", "predicted", "assessment", "review", "right", "seen", "text", "region")
"""Each is the field `{key}_{name}` of the session and of the URL."""
DEFAULT_VERDICTS: Mapping[str, tuple[str, ...]] = MappingProxyType({"leaks": SUSPECT_ASSESSMENTS})
"""By list. Constant, because a field whose default changes between two runs is emptied in the browser alone."""


@dataclass(frozen=True)
class View:
    """What a gallery shows: which rows, in which order, from where."""

    filters: Filters
    order: str
    size: int
    offset: int

    def rows(self, table: Table) -> pd.DataFrame:
        """The rows of the page, as `Table.page` gives them."""
        return table.page(self.filters, self.order, self.size, self.offset)


def filter_bar(table: Table, key: str, run: Run, orders: Sequence[str] = tuple(ORDERS)) -> View:
    """Filters, order and paging in one row, all of them in the URL so that a view can be sent to a colleague.

    What this session's reviewer has judged can be left out.

    Args:
        key: names the list; its fields are `{key}_label` and so on.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        place = st.container(width="content")
        order = st.selectbox("Order", orders, key=f"{key}_order", bind="query-params", width=170)
        size = st.selectbox("Per page", PAGE_SIZES, key=f"{key}_size", bind="query-params", width=110)
        paging, count = st.container(width=150), st.container(width="content")
    filters = choose(table, key, run, place)
    total = table.count(filters)
    number = _page_number(paging, key, max(1, -(-total // size)), (filters, order, size))
    count.caption(f"{total:,} images")
    return View(filters, order, size, (number - 1) * size)


def choose(table: Table, key: str, run: Run, place: DeltaGenerator) -> Filters:
    """The filters, in a popover at `place`; below it, what is set, in words."""
    with place.popover("Filters", icon=":material/filter_alt:", key=f"{key}_filters"):
        species = _several(capital(run.words.label), table.names("label"), f"{key}_label")
        predicted = _several("Predicted", table.names("predicted"), f"{key}_predicted")
        verdict = _several("Verdict", ASSESSMENTS, f"{key}_assessment", DEFAULT_VERDICTS.get(key, ()), WORDS)
        review = _choice("Review", (*REVIEW_STATES, NOT_MINE), f"{key}_review")
        right = _choice("Prediction", list(RIGHTNESS), f"{key}_right")
        seen = _choice("The network", list(SEEN), f"{key}_seen")
        text = _text(f"File or {run.words.group}", f"{key}_text", "part of a name").strip()
        region = _text("Selection in a chart", f"{key}_region", "drawn in a chart").strip()
    images = _selected(run, table, region)
    if images is not None:
        _say_selection(key, images)
        return Filters(images=images)
    words = [*species, *(f"predicted {name}" for name in predicted), *(WORDS[name] for name in verdict)]
    _say_set([*words, *(word for word in (review, right, seen, f"“{text}”" if text else None) if word)])
    return Filters(
        labels=species,
        predicted=predicted,
        assessments=verdict,
        review=None if review == NOT_MINE else review,
        without=tuple(reviewer_progress.reviewed(run)["image"]) if review == NOT_MINE else (),
        correct=RIGHTNESS.get(str(right)),
        in_training=SEEN.get(str(seen)),
        text=text,
    )


def handed_on(key: str | None, target: str) -> dict[str, FieldValue]:
    """The fields of the list `key` as those of the list `target`; without a key, empty ones."""
    empty: dict[str, FieldValue] = {
        "label": [],
        "predicted": [],
        "assessment": list(DEFAULT_VERDICTS.get(key or "", ())),
        "text": "",
        "region": "",
    }
    values = {name: empty.get(name) for name in NAMES}
    if key:
        values = {name: fields.value(f"{key}_{name}", value) for name, value in values.items()}
    return {f"{target}_{name}": value for name, value in values.items()}


def _page_number(place: DeltaGenerator, key: str, pages: int, chosen: tuple[object, ...]) -> int:
    """The page to show; other filters, another order or another size start at the first one again."""
    field = page_number.keep_within(key, pages, chosen)
    return int(place.number_input(f"Page of {pages:,}", 1, pages, key=field, bind="query-params"))


def _selected(run: Run, table: Table, region: str) -> tuple[str, ...] | None:
    """The images of a selection in a chart; None where there is none, or none that can be read, which is said."""
    if not region:
        return None
    try:
        return chart_selection.images_in(region, places.places_of(run, table))
    except DatasetError as error:
        st.warning(plain(str(error)), icon=":material/select:")
        return None


def _say_selection(key: str, images: Sequence[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Selected in the chart: {len(images):,} images, whatever the other filters say.")
        st.button("Clear the selection", key=f"{key}_clear", type="tertiary", on_click=_clear, args=(f"{key}_region",))


def _clear(field: str) -> None:
    fields.set_values(**{field: ""})


def _say_set(words: Sequence[str]) -> None:
    if words:
        st.caption("Filtered by " + " · ".join(map(plain, words)))


def _several(
    label: str, names: Sequence[str], key: str, default: Sequence[str] = (), words: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    shown = words or {}
    return tuple(
        st.multiselect(
            label,
            names,
            default=list(default) or None,
            key=key,
            bind="query-params",
            placeholder="any",
            format_func=lambda name: shown.get(name, name),
        )
    )


def _choice(label: str, names: Sequence[str], key: str) -> str | None:
    return st.selectbox(label, names, index=None, placeholder="any", key=key, bind="query-params")


def _text(label: str, key: str, placeholder: str) -> str:
    return st.text_input(label, key=key, bind="query-params", placeholder=placeholder)
