"""Two runs or more on the pictures they share: what got better, what got worse, and what is chance."""

import streamlit as st

from whalecam.ui import comparecharts, comparepage
from whalecam.ui.canvas import overlay_controls
from whalecam.ui.frame import page, threshold_sliders
from whalecam.ui.opening import figures_first

with page("Compare", needs="data") as run:
    threshold_sliders()
    names = comparepage.choose(run)
    overlay_controls()
    found = comparepage.comparison(names)
    later = comparepage.choose_later(found)
    comparepage.say(found, later)
    comparepage.figures(found, later)
    figures_first()
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.subheader("Differences beyond chance, and within it", anchor=False)
        st.plotly_chart(
            comparecharts.differences(found.differences[later]), key="compare_differences", alt="Differences"
        )
    with right:
        st.subheader("Accuracy per species", anchor=False)
        st.plotly_chart(
            comparecharts.species(found.per_species, found.names), key="compare_species", alt="Accuracy per species"
        )
    st.subheader("Pictures that changed", anchor=False)
    comparepage.changed(found, later, names)
