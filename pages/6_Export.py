"""The signed list out, other people's verdicts in."""

import streamlit as st

from whalecam.ui import exportpage, session
from whalecam.ui.frame import page, threshold_sliders

with page("Export") as run:
    threshold_sliders()
    table = session.table_of(run)
    exportpage.progress(table)
    only = exportpage.choose()
    exportpage.preview(run, table, only)
    exportpage.downloads(run, table, only)
    st.divider()
    exportpage.take_in(run)
