"""The browser's history: one entry per visit of a page."""

from pathlib import Path

import streamlit as st

_component = st.components.v2.component(
    "whalecam_history", js=Path(__file__).with_name("history.js").read_text(encoding="utf-8")
)


def one_entry_per_page() -> None:
    """Let *back* lead to the page before, as it was left."""
    _component(key="history", height=0)
