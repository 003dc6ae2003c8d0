"""The reviewer's name, kept by the browser: it survives a reload and never stands in a link."""

import streamlit as st

from whalecam.app.components.assets import module
from whalecam.app.shell import access

_memory = st.components.v2.component(
    "whalecam_reviewer",
    js=module("reviewer/reviewer.js"),
)


def reviewer_name() -> None:
    """Ask who signs verdicts, unless a provider has said it; a name given earlier in this browser is filled in."""
    if name := access.who():
        access.badge(name)
        return
    held = (st.session_state.get("reviewer_memory") or {}).get("held")
    known = st.session_state.get("reviewer")
    if known:
        st.session_state["reviewer"] = known  # else the first run of another page would know nobody
        st.session_state["_reviewer_asked"] = True
    elif held and not st.session_state.get("_reviewer_asked"):
        # Again until the browser's field has it: what it sent before it was filled in says that it is empty.
        st.session_state["reviewer"] = held
    name = st.text_input(
        "Reviewer",
        key="reviewer",
        persist_state="session",
        placeholder="your name, to sign verdicts",
        max_chars=60,
    )
    asked = bool(st.session_state.get("_reviewer_asked") or name)
    _memory(key="reviewer_memory", data={"name": name, "asked": asked}, on_held_change=_noted, height=0)


def _noted() -> None:
    """The callback that makes Streamlit list the state in the component's result."""
