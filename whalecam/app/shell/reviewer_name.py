"""The reviewer's name, kept by the browser: it survives a reload and never stands in a link."""

import streamlit as st

from whalecam.app.components.assets import module
from whalecam.app.shell import access
from whalecam.app.state import reviewer_name as state

_memory = st.components.v2.component(
    "whalecam_reviewer",
    js=module("reviewer/reviewer.js"),
)


def reviewer_name() -> None:
    """Ask who signs verdicts, unless a provider has said it; a name given earlier in this browser is filled in."""
    if name := access.who():
        access.badge(name)
        return
    state.restore("reviewer_memory")
    name = st.text_input(
        "Reviewer",
        key=state.field_key(),
        persist_state="session",
        placeholder="your name, to sign verdicts",
        max_chars=60,
    )
    is_known = state.is_known() or bool(name)
    _memory(key="reviewer_memory", data={"name": name, "isKnown": is_known}, on_stored_change=_noted, height=0)


def _noted() -> None:
    """The callback that makes Streamlit list the state in the component's result."""
