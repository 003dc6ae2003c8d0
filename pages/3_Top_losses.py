"""Images by loss, with or without their heat."""

import streamlit as st

from whalecam.app.components.canvas import overlay_controls
from whalecam.app.shell.page_frame import page, threshold_sliders
from whalecam.app.state import session
from whalecam.app.widgets import bulk_review, filters, gallery_page, review_controls, saved_views

with page("Top losses") as run:
    rail = gallery_page.begin()
    with rail:
        saved_views.saved_views(run, "losses")
    threshold_sliders(run)
    session.up_to_date(run)
    table = session.table_of(run)
    overlay_controls(has_maps=run.has_maps)
    orders = ("loss", "least confident", "confidence", "evidence", "name", "random")
    view = filters.filter_bar(table, "losses", run, orders=orders, rail=rail)
    with view.tools:
        bulk_review.offer(run, filters.shown_words(view), lambda: table.images(view.filters), "losses")
    review_controls.reviewing_gallery(run, view, "losses")
    review_controls.news(run)
    st.caption(
        "Loss is the cross-entropy of the label, in nats: 0.7 is a coin toss between two classes. A high loss on an "
        "image that looks fine often means a wrong label; select it and suggest the right one."
    )
