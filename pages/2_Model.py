"""Train or load a network, audit with it, and see how good it is."""

import streamlit as st

from whalecam.app.charts import alternatives, audit_charts
from whalecam.app.components.deferred_charts import charts_first
from whalecam.app.screens import checkpoint_panel, model, overview, own_data_panel
from whalecam.app.shell.page_frame import page
from whalecam.app.state import session

with page("Model", needs="data") as run:
    train, load, audit = st.tabs(["Train", "Load a checkpoint", "Audit"], key="model_tab", bind="query-params")
    with train:
        model.train_form(run)
    with load:
        checkpoint_panel.load(run)
    with audit:
        model.audit_form(run)
    model.live(run)
    if run.trained:
        own_data_panel.next_step(run)
    if run.trained:
        metrics = run.metrics()
        pairs = model.pairs(run, metrics)
        overview.class_order(run, pairs)
        model.results(run, metrics)
        charts_first()
        epochs, matrix = st.columns([2, 3], gap="medium")
        with epochs:
            model.epochs(metrics)
        with matrix:
            st.header(model.confusion_title(metrics), anchor=False)
            cell = st.plotly_chart(
                audit_charts.confusion(pairs, run.manifest.classes),
                key="confusion",
                on_select="rerun",
                config=audit_charts.NO_TOOLS,
                alt=alternatives.confusion(pairs, run.words),
            )
            model.open_cell(cell)
        if run.parts():
            st.header("Results on a sample", anchor=False)
            model.show_results(run, session.table_of(run))
