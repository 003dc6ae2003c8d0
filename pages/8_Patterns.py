"""What many images have in common, in what the network saw and where it looked."""

import streamlit as st

from whalecam.app.components.canvas import overlay_controls
from whalecam.app.components.deferred_charts import charts_first
from whalecam.app.screens import cues_panel, embedding, patterns, slices_panel
from whalecam.app.shell.page_frame import page, threshold_sliders
from whalecam.app.state import session
from whalecam.app.widgets import gallery_page

with page("Patterns") as run:
    rail = gallery_page.begin()
    threshold_sliders(run)
    session.up_to_date(run)
    table = session.table_of(run)
    overlay_controls(has_maps=run.has_maps)
    patterns.show_metrics(run, table)
    charts_first()
    sights, strategies, atlas, pairs, slices, cues = st.tabs(
        ["Map", "Strategies", "Attention atlas", "Confused pairs", "Slices", "Cues"],
        key="patterns_tab",
        bind="query-params",
        on_change="rerun",
    )
    if sights.open:
        with sights:
            embedding.embedding_map(run, table, rail)
    if strategies.open:
        with strategies:
            patterns.strategies(run, table)
    if atlas.open:
        with atlas:
            patterns.atlas(run, table)
    if pairs.open:
        with pairs:
            patterns.pairs(run, table)
    if slices.open:
        with slices:
            slices_panel.slices(run, table)
    if cues.open:
        with cues:
            cues_panel.cues(run, table)
