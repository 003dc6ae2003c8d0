"""A table one of whose rows is chosen, and leads to something."""

import functools
from collections.abc import Callable, Mapping

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from whalecam.app.state import fields


def choosing_table(
    frame: pd.DataFrame,
    key: str,
    chosen: Callable[[int | None], None],
    *,
    look: Mapping[str, ColumnConfig],
    height: int | None = None,
) -> None:
    """Show a table; a click before a row chooses it, another one takes that back.

    Args:
        chosen: called with the place of the row, or None, before the page is drawn anew.
        look: Streamlit's `column_config`.
        height: in px, at most; None shows as many rows as Streamlit does.
    """
    st.dataframe(
        frame,
        key=key,
        on_select=functools.partial(_note, key, chosen),
        selection_mode="single-row",
        hide_index=True,
        column_config={**look},
        height="auto" if height is None else min(height, 38 + 35 * len(frame)),
    )


def _note(key: str, chosen: Callable[[int | None], None]) -> None:
    chosen(next(iter(fields.value(key)["selection"]["rows"]), None))


def filter_by(field: str, names: tuple[str, ...], at: int | None) -> None:
    """Let a filter, such as `leaks_label`, let through what the chosen row is about, or everything."""
    fields.set_values(**{field: [] if at is None else [names[at]]})
