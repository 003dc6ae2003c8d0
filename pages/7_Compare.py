"""Two runs or more on the images they share: what got better, what got worse, and what is chance."""

import streamlit as st

from whalecam.app.charts import comparison_charts
from whalecam.app.charts.audit_charts import NO_TOOLS
from whalecam.app.components.canvas import overlay_controls
from whalecam.app.components.deferred_charts import charts_first
from whalecam.app.screens import compare
from whalecam.app.shell.page_frame import page, threshold_sliders

with page("Compare", needs="data") as run:
    threshold_sliders(run)
    names = compare.choose(run)
    overlay_controls()
    comparison = compare.comparison(names)
    later = compare.choose_later(comparison)
    compare.say(comparison, later)
    compare.show_metrics(comparison, later)
    charts_first()
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.header("Differences beyond chance, and within it", anchor=False)
        st.plotly_chart(
            comparison_charts.differences(comparison.differences[later], comparison.words),
            key="compare_differences",
            config=NO_TOOLS,
            alt=comparison_charts.differences_text(comparison.differences[later], comparison.words),
        )
    with right:
        st.header(f"Accuracy per {run.words.label}", anchor=False)
        st.plotly_chart(
            comparison_charts.accuracy_per_label(comparison.per_label, comparison.names),
            key="compare_species",
            config=NO_TOOLS,
            alt=comparison_charts.accuracy_text(comparison.per_label, run.words),
        )
    st.header("Images that changed", anchor=False)
    compare.changed(comparison, later, names)
