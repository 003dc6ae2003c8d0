"""Filters, order and paging of a gallery, all of them in the URL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from whalecam.config import AUTO_VERDICTS
from whalecam.run import Run
from whalecam.table import ORDERS, REVIEW_STATES, Filters, Table
from whalecam.ui import mine
from whalecam.ui.charts import WORDS

PAGE_SIZES = (24, 48, 96)
RIGHTNESS = {"right": True, "wrong": False}
NOT_MINE = "not yet judged by me"
SEEN = {"not trained on": False, "trained on": True}


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


def filter_bar(
    table: Table,
    key: str,
    verdicts: Sequence[str] = (),
    orders: Sequence[str] = tuple(ORDERS),
    images: tuple[str, ...] | None = None,
    run: Run | None = None,
) -> View:
    """Filters, order and paging in one row, all of them in the URL so that a view can be sent to a colleague.

    `images`, from a lasso, stand above the filters: all of them are shown, whatever their verdict. With a `run`, what
    this session's reviewer has judged can be left out.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        place = st.container(width="content")
        order = st.selectbox("Order", orders, key=f"{key}_order", bind="query-params", width=170)
        size = st.selectbox("Per page", PAGE_SIZES, key=f"{key}_size", bind="query-params", width=110)
        paging, count = st.container(width=150), st.container(width="content")
    chosen = _filters(table, key, verdicts, place, run)
    filters = chosen if images is None else Filters(images=images)
    total = table.count(filters)
    pages = max(1, -(-total // size))
    if st.session_state.get(f"{key}_page", 1) > pages:
        st.session_state[f"{key}_page"] = pages
    number = paging.number_input(f"Page of {pages:,}", 1, pages, key=f"{key}_page", bind="query-params")
    count.caption(f"{total:,} pictures")
    return View(filters, order, size, (int(number) - 1) * size)


def _filters(table: Table, key: str, verdicts: Sequence[str], place: DeltaGenerator, run: Run | None) -> Filters:
    """The filters in a popover whose label says how many are set."""
    present = [name for name in AUTO_VERDICTS if name in set(table.verdicts()["verdict"])]
    names = ("species", "predicted", "verdict", "review", "right", "seen", "text")
    default = [name for name in verdicts if name in present]
    active = sum(bool(st.session_state.get(f"{key}_{name}", default if name == "verdict" else None)) for name in names)
    with place.popover(
        f"Filters ({active})" if active else "Filters", icon=":material/filter_alt:", key=f"{key}_filters"
    ):
        species = _several("Species", table.names("species"), f"{key}_species")
        predicted = _several("Predicted", table.names("predicted"), f"{key}_predicted")
        verdict = _several("Verdict", present, f"{key}_verdict", default, WORDS)
        review = _one("Review", REVIEW_STATES if run is None else (*REVIEW_STATES, NOT_MINE), f"{key}_review")
        right = _one("Prediction", list(RIGHTNESS), f"{key}_right")
        seen = _one("The network", list(SEEN), f"{key}_seen")
        text = st.text_input("File or individual", key=f"{key}_text", bind="query-params", placeholder="part of a name")
    return Filters(
        species=species,
        predicted=predicted,
        verdicts=verdict,
        review=None if review == NOT_MINE else review,
        without=tuple(mine.judged(run)["image"]) if run and review == NOT_MINE else (),
        correct=RIGHTNESS.get(str(right)),
        in_training=SEEN.get(str(seen)),
        text=text.strip(),
    )


def _several(
    label: str, names: Sequence[str], key: str, default: Sequence[str] = (), words: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    told = words or {}
    preset: dict[str, Any] = {} if key in st.session_state else {"default": list(default)}
    return tuple(
        st.multiselect(
            label,
            names,
            key=key,
            bind="query-params",
            placeholder="any",
            format_func=lambda name: told.get(name, name),
            **preset,
        )
    )


def _one(label: str, names: Sequence[str], key: str) -> str | None:
    return st.selectbox(label, names, index=None, placeholder="any", key=key, bind="query-params")
