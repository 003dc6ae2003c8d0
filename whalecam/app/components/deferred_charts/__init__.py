"""The first moments of a session, in which the browser has everything to load."""

import time

import streamlit as st

from whalecam.app.components.assets import module

AT_MOST = 30.0
"""Seconds that charts wait for a browser which does not say that it has drawn the figures, as a busy one."""
STEP = 0.05

_word = st.components.v2.component(
    "whalecam_opening",
    js=module("deferred_charts/deferred_charts.js"),
)


def figures_first() -> None:
    """Let a browser that opens the dashboard draw the figures above before the charts below are sent.

    What draws charts is 4.7 MB of JavaScript which blocks the browser for about a second while it starts, and figures
    that came with them wait as long. The browser says when it has drawn the figures, which runs the page again. Later
    runs of a session pass at once, and so do runs without a browser.
    """
    place = st.container()
    if st.session_state.get("_drawn") or st.context.url is None:
        return
    opened = st.session_state.setdefault("_opened", time.monotonic())
    with place:
        said = _word(key="opening", on_drawn_change=_noted, height=0)
        beat = st.empty()
    while not said.drawn and time.monotonic() < opened + AT_MOST:
        time.sleep(STEP)
        beat.empty()  # where a run ends that another one is asked for
    st.session_state["_drawn"] = True


def _noted() -> None:
    """The callback that makes Streamlit list the state in the component's result."""
