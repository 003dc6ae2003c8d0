"""The first moments of a session, in which the browser has everything to load."""

import streamlit as st

from whalecam.app.components.assets import module
from whalecam.app.shell import access
from whalecam.app.state import first_run

_opening = st.components.v2.component(
    "whalecam_opening",
    js=module("deferred_charts/deferred_charts.js"),
)


def charts_first() -> None:
    """End a session's first run here, so that the browser draws the figures above before the charts below are sent.

    What draws charts is 4.7 MB of JavaScript which blocks the browser for about a second while it starts, and figures
    that came with them wait as long. The browser says when it has drawn the figures and named the reviewer whom it
    remembers, which runs the page again. Later runs of a session pass at once, and so do runs without a browser. No
    run waits for the browser: a busy one, or a tab in the background, would take longer to draw the more it is sent
    meanwhile.
    """
    place = st.container()
    if st.context.url is None or first_run.is_over():
        return
    with place:
        _opening(key="opening", data={"readsName": not access.who()}, on_drawn_change=first_run.end, height=0)
    st.stop()
