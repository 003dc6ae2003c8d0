"""The signed list out, other people's verdicts in."""

import streamlit as st

from whalecam.app.screens import export
from whalecam.app.shell.page_frame import page, threshold_sliders
from whalecam.app.state import session

with page("Export") as run:
    threshold_sliders(run)
    table = session.table_of(run)
    export.progress(table)
    only = export.choose()
    export.preview(run, table, only)
    export.downloads(run, table, only)
    st.divider()
    export.other_tools(run, table, only)
    st.divider()
    export.report(run)
    st.divider()
    export.take_in(run)
