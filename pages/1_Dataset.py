"""What is in the data set, and what is wrong with it."""

import streamlit as st

from whalecam.app.components.deferred_charts import charts_first
from whalecam.app.screens import dataset, findings_panel, own_data_panel
from whalecam.app.shell.page_frame import page
from whalecam.app.state import session

with page("Dataset", needs="data") as run:
    own_data_panel.open_own()
    data = session.data_of(run)
    dataset.show_counts(data, run.words)
    own_data_panel.next_step(run)
    charts_first()
    distribution, head, grid, faults = st.tabs(
        ["Distribution", "Table", "Images", "Findings"], key="dataset_tab", bind="query-params", on_change="rerun"
    )
    if distribution.open:
        with distribution:
            dataset.distribution(data, run.words)
    if head.open:
        with head:
            dataset.browse(data, run.words)
    if grid.open:
        with grid:
            dataset.outlines(run)
            dataset.batch(run, data)
    if faults.open:
        with faults:
            findings_panel.findings(run, data)
