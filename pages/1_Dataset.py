"""What is in the data set, and what is wrong with it."""

import streamlit as st

from whalecam.ui import datapage, findingspage, session
from whalecam.ui.frame import page
from whalecam.ui.opening import figures_first

with page("Dataset", needs="data") as run:
    datapage.open_own()
    data = session.data_of(run)
    datapage.figures(data)
    figures_first()
    distribution, head, grid, faults = st.tabs(
        ["Distribution", "Table", "Pictures", "Findings"], key="dataset_tab", bind="query-params", on_change="rerun"
    )
    if distribution.open:
        with distribution:
            datapage.distribution(data)
    if head.open:
        with head:
            datapage.browse(data)
    if grid.open:
        with grid:
            datapage.batch(run, data)
    if faults.open:
        with faults:
            findingspage.findings(run, data)
