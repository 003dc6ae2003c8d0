"""The words of the pages, explained where they stand."""

import streamlit as st

from whalecam.assessment.meanings import glossary
from whalecam.words import Words


def glossary_button(words: Words) -> None:
    """A button in the sidebar that opens every term with its meaning."""
    button = st.sidebar.popover("Glossary", icon=":material/help:", width="stretch", key="glossary", on_change="rerun")
    if button.open:
        button.markdown("\n\n".join(f"**{term}**. {meaning}" for term, meaning in glossary(words).items()))
