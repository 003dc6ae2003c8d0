"""The reviewer's name in this session, and whether its browser was asked for the one it keeps."""

import streamlit as st

from whalecam.app.state import fields


def name() -> str:
    """Who signs in this session; empty until somebody gave a name."""
    return str(st.session_state.get(field_key(), "") or "").strip()


def field_key() -> str:
    """The widget key of the field for the name: another one after each name that was not typed into it.

    The browser sends what stands in a field with every message, also while it has not heard yet that the field was
    filled in; of a new key, it cannot say that it is empty.
    """
    number = st.session_state.get("_reviewer_filled_in", 0)
    return f"reviewer_{number}" if number else "reviewer"


def give(name: str) -> None:
    """Take `name`, which was given elsewhere, as the reviewer's; to be called before the field is drawn."""
    st.session_state["_reviewer_filled_in"] = st.session_state.get("_reviewer_filled_in", 0) + 1
    st.session_state[field_key()] = name
    st.session_state["_reviewer_is_known"] = True


def restore(component: str) -> None:
    """Fill the field in before it is drawn: with this session's name, else with the browser's.

    Args:
        component: the component that reports which name the browser keeps.
    """
    stored = fields.component_state(component, "stored")
    if given := st.session_state.get(field_key()):
        st.session_state[field_key()] = given  # else the first run of another page would know nobody
        st.session_state["_reviewer_is_known"] = True
    elif stored and not is_known():
        give(stored)


def is_known() -> bool:
    """Whether somebody has given a name in this session, be it only to remove it again."""
    return bool(st.session_state.get("_reviewer_is_known"))
