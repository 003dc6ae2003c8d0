"""What pages with a gallery open with: their look, and the place of their filters."""

from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

STYLE = Path(__file__).with_suffix(".css")


def begin() -> DeltaGenerator:
    """Give the page the look of a gallery; returns the place of the filters in the sidebar, before the thresholds."""
    st.html(STYLE)
    return st.sidebar.container()
