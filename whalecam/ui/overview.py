"""The Overview's own pieces: the sentence, the figures, what to do next, what the maps may claim."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from whalecam.run import Run
from whalecam.table import Table
from whalecam.ui import session
from whalecam.ui.frame import plain

LICENCES = {
    "exact": "The network has a linear head, so each map adds up to its logit: the map is the whole story.",
    "exact here": "The head is piecewise linear: each map adds up to its logit for the picture it is drawn on.",
    "approximate": "The head is not linear: the map leaves a rest unexplained, which is shown beside it.",
}


def sentence(run: Run, facts: Mapping[str, Any]) -> None:
    """The run in one sentence, worst species first."""
    species = session.table_of(run).per_species()
    worst = species[species["assessable"] > 0].nlargest(2, "low")
    named = " and ".join(
        f"**{plain(str(row.species))}** ({row.suspects:.0f} of {row.assessable:.0f})" for row in worst.itertuples()
    )
    st.markdown(
        f"**{facts['suspects']:,}** of {facts['assessable']:,} assessable pictures look at the water rather than the "
        f"animal; most in {named}. Heat on water is a suspicion until people have looked."
        if facts["suspects"]
        else f"None of {facts['assessable']:,} assessable pictures looks at the water more than a flat map would."
    )


def figures(run: Run, facts: Mapping[str, Any]) -> None:
    """Counts, accuracy, loss and review progress."""
    unseen = f"on {facts['unseen']:,} pictures the network did not train on"
    with st.container(horizontal=True):
        st.metric("Images", f"{facts['images']:,}", border=True)
        st.metric("Species", f"{facts['species']:,}", border=True)
        st.metric("Individuals", f"{facts['individuals']:,}", border=True)
        st.metric("Unreadable", f"{facts['unreadable']:,}", border=True)
        st.metric("Accuracy", _or_dash(facts["accuracy"], ".1%"), help=unseen, border=True)
        st.metric("Loss", _or_dash(facts["loss"], ".2f"), help=f"cross-entropy in nats, {unseen}", border=True)
        st.metric("Reviewed", f"{facts['reviewed']:,}", border=True)
        st.metric("Flagged", f"{facts['flagged']:,}", border=True)


def next_steps(run: Run, facts: Mapping[str, Any]) -> None:
    """The one thing to do next."""
    open_suspects = facts["suspects"] and facts["reviewed"] < facts["suspects"]
    with st.container(border=True):
        st.markdown("**What to do next**")
        if facts["unreadable"]:
            st.page_link(
                "pages/1_Dataset.py",
                label=f"Look at {facts['unreadable']:,} pictures that cannot be read",
                icon=":material/broken_image:",
            )
        if open_suspects:
            st.page_link("pages/5_Leaks.py", label="Review the suspects", icon=":material/flag:")
        if facts["reviewed"]:
            st.page_link("pages/6_Export.py", label="Export the signed list", icon=":material/download:")
        if not open_suspects:
            st.page_link("pages/3_Top_losses.py", label="Check the top losses for wrong labels", icon=":material/sort:")


def open_species(picked: Any) -> None:
    """A click on a species opens its suspects."""
    points = picked["selection"]["points"]
    if points:
        st.session_state["leaks_species"] = [str(points[0]["y"])]
        st.switch_page("pages/5_Leaks.py")


def licence(run: Run, facts: Mapping[str, Any]) -> None:
    """What the maps of this run may claim."""
    word = run.manifest.licence
    told = next((text for name, text in LICENCES.items() if word.startswith(name)), word)
    st.caption(
        f"Map licence: **{plain(word)}**. {told} Largest residual over all pictures and classes: "
        f"{_or_dash(facts['residual'], '.1e')} logits. Network: {plain(str(run.manifest.network.get('arch', '')))}, "
        f"trained at {run.manifest.network.get('size', '?')} px."
    )


def not_assessable(table: Table) -> None:
    """Why some pictures have no score."""
    reasons = table.reasons()
    if len(reasons):
        with st.expander(f"{int(reasons['images'].sum()):,} pictures without a score, and why"):
            st.dataframe(reasons, hide_index=True)


def _or_dash(value: Any, form: str) -> str:
    return format(value, form) if value is not None and pd.notna(value) else "–"
