"""What many pictures have in common, in what the network saw and where it looked."""

import streamlit as st

from whalecam.ui import mappage, session, strategypage
from whalecam.ui.canvas import overlay_controls
from whalecam.ui.frame import page, threshold_sliders
from whalecam.ui.opening import figures_first

with page("Patterns") as run:
    threshold_sliders()
    session.up_to_date(run)
    table = session.table_of(run)
    overlay_controls()
    strategypage.figures(run, table)
    figures_first()
    sights, strategies, atlas, pairs = st.tabs(
        ["Map", "Strategies", "Attention atlas", "Confused pairs"],
        key="patterns_tab",
        bind="query-params",
        on_change="rerun",
    )
    if sights.open:
        with sights:
            mappage.embedding_map(run, table)
    if strategies.open:
        with strategies:
            strategypage.strategies(run, table)
    if atlas.open:
        with atlas:
            strategypage.atlas(run, table)
    if pairs.open:
        with pairs:
            strategypage.pairs(run, table)
