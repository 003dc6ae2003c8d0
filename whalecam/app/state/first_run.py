"""Where a session stands with the first moments, in which its browser draws the figures."""

import time

import streamlit as st

PATIENCE = 15.0
"""Seconds after which a session goes on although its browser never said that it has drawn the figures."""


def is_over() -> bool:
    """Whether the browser has drawn the figures, or has had PATIENCE to say so."""
    opened = st.session_state.setdefault("_opened", time.monotonic())
    return bool(st.session_state.get("_drawn")) or time.monotonic() > opened + PATIENCE


def end() -> None:
    """The browser has drawn the figures."""
    st.session_state["_drawn"] = True
