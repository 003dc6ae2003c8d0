"""Matches of individuals: which rest on the background, what people say of them."""

import streamlit as st

from whalecam.app.components.canvas import overlay_controls
from whalecam.app.screens import matches
from whalecam.app.screens.catalogue_panel import catalogue_panel
from whalecam.app.shell.page_frame import page, threshold_sliders

with page("Matches", needs="data") as run:
    threshold_sliders(run)
    matches.start(run)
    matches.summary(run)
    rows = matches.queue(run)
    overlay_controls(has_maps=matches.has_maps(run, rows), has_masks=False, of="these matches have")
    if rows.empty:
        st.info("No match is in this list. Choose another one.", icon=":material/filter_alt_off:")
    else:
        matches.review(run, rows)
        matches.table(rows)
    catalogue_panel(run, set(rows["query"]))
    matches.files(run)
