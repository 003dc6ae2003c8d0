"""The browser's history: one entry per visit of a page; and links that are followed without a click."""

import secrets

import streamlit as st

from whalecam.app.components.assets import module

_component = st.components.v2.component("whalecam_history", js=module("history/history.js"))
_follow = st.components.v2.component("whalecam_follow", js=module("history/follow.js"))


def one_entry_per_page() -> None:
    """Let *back* lead to the page before, as it was left."""
    _component(key="history", height=0)


def follow(key: str) -> None:
    """Let the browser follow the link in the container `key`, once."""
    _follow(key=f"follow_{key}", data={"key": key, "id": secrets.token_hex(8)}, height=0)
