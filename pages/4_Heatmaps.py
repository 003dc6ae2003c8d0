"""One image large, with the evidence for any class."""

import streamlit as st

from whalecam.app.components.canvas import overlay_controls
from whalecam.app.screens import heatmaps
from whalecam.app.shell.page_frame import page, threshold_sliders
from whalecam.app.state import session
from whalecam.app.widgets import queue, review_controls

with page("Heatmaps") as run:
    threshold_sliders(run)
    session.up_to_date(run)
    table = session.table_of(run)
    place = st.container(horizontal=True, vertical_alignment="bottom")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        line = queue.choose(run, table)
    with place:
        image = heatmaps.choose_image(line, table)
        queue.buttons(run, line, image)
    row = table.row(image)
    view = heatmaps.choose_view(run, row)
    overlay_controls(has_maps=run.has_maps)
    large, side = st.columns([3, 2], gap="medium")
    with large:
        heatmaps.review(run, row, view, line)
    with side:
        if line.controls:
            queue.scores_are_hidden()
        else:
            heatmaps.facts(run, row)
            heatmaps.show_me(run, row)
            heatmaps.classes(run, row)
    review_controls.news(run)
