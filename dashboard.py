"""Overview of a run. Start with: streamlit run dashboard.py"""

import streamlit as st

from whalecam.app.charts import audit_charts
from whalecam.app.components.deferred_charts import charts_first
from whalecam.app.screens import overview, recommendation_panel, reliance_panel
from whalecam.app.shell.page_frame import page, threshold_sliders
from whalecam.app.state import session

with page("Overview") as run:
    threshold_sliders()
    table = session.table_of(run)
    facts = table.overview()
    overview.class_order(run, table.confusion())
    overview.sentence(run, facts)
    overview.show_metrics(run, facts)
    reliance_panel.note_uncontrolled(facts)
    charts_first()
    overview.verdicts(table)
    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.subheader("Right or wrong, animal or water", anchor=False)
        st.plotly_chart(
            audit_charts.quadrants(table.quadrants(session.thresholds().attention)), key="quadrants", alt="2 × 2"
        )
        overview.next_steps(run, facts)
    with right:
        st.subheader("Leaks per species", anchor=False)
        species = table.per_label()
        picked = st.plotly_chart(
            audit_charts.species_leaks(species),
            key="species_leaks",
            on_select="rerun",
            config=audit_charts.NO_TOOLS,
            alt="Leaks per species",
        )
        overview.open_species(picked)
    recommendation_panel.advice(run, facts)
    overview.whole_model(table, facts)
    overview.exactness(run, facts)
    overview.not_assessable(table)
    overview.limits()
    overview.selftest(run)
