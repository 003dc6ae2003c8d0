"""The first moments of a session, in which the browser has everything to load."""

import time

import streamlit as st

from whalecam.app.components.assets import module

PATIENCE = 15.0
"""Seconds after which a run draws the charts although the browser never said that it has drawn the figures."""

_opening = st.components.v2.component(
    "whalecam_opening",
    js=module("deferred_charts/deferred_charts.js"),
)


def figures_first() -> None:
    """End a session's first run here, so that the browser draws the figures above before the charts below are sent.

    What draws charts is 4.7 MB of JavaScript which blocks the browser for about a second while it starts, and figures
    that came with them wait as long. The browser says when it has drawn the figures and named the reviewer whom it
    remembers, which runs the page again. Later runs of a session pass at once, and so do runs without a browser. No
    run waits for the browser: a busy one, or a tab in the background, would take longer to draw the more it is sent
    meanwhile.
    """
    place = st.container()
    if st.session_state.get("_drawn") or st.context.url is None:
        return
    if time.monotonic() > st.session_state.setdefault("_opened", time.monotonic()) + PATIENCE:
        return
    with place:
        reads_name = bool(st.session_state.get("_reviewer_is_remembered"))
        _opening(key="opening", data={"readsName": reads_name}, on_drawn_change=_note, height=0)
    st.stop()


def _note() -> None:
    st.session_state["_drawn"] = True
