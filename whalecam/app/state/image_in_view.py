"""Which image the Heatmaps page shows large."""

import streamlit as st

from whalecam.app.state import session


def show_next(image: str) -> None:
    """Show `image` in the next run, with an empty reason, note and label."""
    st.session_state["_open"] = image
    session.results().signed = True


def fill_in(first: str) -> None:
    """Fill the field `image` in before it is drawn: see `show_next`; an empty one with the address's, else `first`."""
    if image := st.session_state.pop("_open", None):
        st.session_state["image"] = image
    if not st.session_state.get("image"):
        st.session_state["image"] = st.query_params.get("image") or first
