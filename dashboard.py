"""Overview of a run. Start with: streamlit run dashboard.py"""

import streamlit as st

from whalecam.ui import charts, mending, overview, reliance, session
from whalecam.ui.frame import page, threshold_sliders
from whalecam.ui.opening import figures_first

with page("Overview") as run:
    threshold_sliders()
    table = session.table_of(run)
    facts = table.overview()
    overview.sentence(run, facts)
    overview.figures(run, facts)
    reliance.note_uncontrolled(facts)
    figures_first()
    overview.verdicts(table)
    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.subheader("Right or wrong, animal or water", anchor=False)
        st.plotly_chart(charts.quadrants(table.quadrants(session.thresholds().excess)), key="quadrants", alt="2 × 2")
        overview.next_steps(run, facts)
    with right:
        st.subheader("Leaks per species", anchor=False)
        species = table.per_species()
        picked = st.plotly_chart(
            charts.species_leaks(species),
            key="species_leaks",
            on_select="rerun",
            config=charts.NO_TOOLS,
            alt="Leaks per species",
        )
        overview.open_species(picked)
    mending.advice(run, facts)
    overview.whole_model(table, facts)
    overview.licence(run, facts)
    overview.not_assessable(table)
    overview.limits()
    overview.selftest(run)
