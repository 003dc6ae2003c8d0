"""The reviewer's name in this session, and whether its browser was asked for the one it keeps."""

import streamlit as st

from whalecam.app.state import fields


def restore(component: str) -> None:
    """Fill the field `reviewer` in before it is drawn: with this session's name, else with the browser's.

    Args:
        component: the component that reports which name the browser keeps.
    """
    stored = fields.component_state(component, "stored")
    name = st.session_state.get("reviewer")
    if name:
        st.session_state["reviewer"] = name  # else the first run of another page would know nobody
        st.session_state["_reviewer_is_known"] = True
    elif stored and not st.session_state.get("_reviewer_is_known"):
        # Again until the browser's field has it: what it sent before it was filled in says that it is empty.
        st.session_state["reviewer"] = stored


def is_known() -> bool:
    """Whether somebody has given a name in this session, be it only to remove it again."""
    return bool(st.session_state.get("_reviewer_is_known"))
