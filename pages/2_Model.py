"""Train or load a network, audit with it, and see how good it is."""

import streamlit as st

from whalecam.ui import charts, modelpage, session
from whalecam.ui.frame import page
from whalecam.ui.opening import figures_first

with page("Model", needs="data") as run:
    train, load, audit = st.tabs(["Train", "Load a checkpoint", "Audit"], key="model_tab", bind="query-params")
    with train:
        modelpage.train_form(run)
    with load:
        modelpage.load_form(run)
    with audit:
        modelpage.audit_form(run)
    modelpage.live(run)
    if run.trained:
        metrics = run.metrics()
        modelpage.results(run, metrics)
        figures_first()
        epochs, matrix = st.columns([2, 3], gap="medium")
        with epochs:
            modelpage.epochs(metrics)
        with matrix:
            pairs = modelpage.pairs(run, metrics)
            st.subheader("Confusion on pictures that were not trained on", anchor=False)
            cell = st.plotly_chart(
                charts.confusion(pairs, run.manifest.classes),
                key="confusion",
                on_select="rerun",
                config=charts.NO_TOOLS,
                alt="Confusion matrix",
            )
            modelpage.open_cell(cell)
        if run.parts():
            st.subheader("Results on a sample", anchor=False)
            modelpage.show_results(run, session.table_of(run))
