"""Key presses and clicks from our components, kept until a run of the page gets to handle them.

Streamlit hands a trigger to one run only, and the next click stops that run wherever it is; two triggers in a quick row
become one. So a verdict signed by key could be lost. Hence each trigger `did` repeats the numbered events of the last
seconds, and a callback, which runs before the page does, notes down those that are new.
"""

import time
from collections.abc import Callable
from typing import Any

import streamlit as st

PATIENCE = 10.0
"""Seconds after which an event is stale: its page was left before it could be handled."""


def noting(key: str) -> Callable[[], None]:
    """The callback for the trigger `did` of the component `key`: a list of {number, name, value}, oldest first."""

    def note() -> None:
        place = st.session_state.setdefault(_place(key), {"last": 0, "waiting": []})
        for event in (st.session_state.get(key) or {}).get("did") or ():
            if event["number"] > place["last"]:
                place["last"] = event["number"]
                place["waiting"].append((event["name"], event["value"], time.monotonic()))

    return note


def take(key: str) -> tuple[str, Any] | None:
    """The oldest event of the component `key` that nobody has handled yet, as (name, value)."""
    waiting = st.session_state.get(_place(key), {}).get("waiting")
    while waiting:
        name, value, at = waiting.pop(0)
        if time.monotonic() - at <= PATIENCE:
            return name, value
    return None


def _place(key: str) -> str:
    return f"_events_{key}"
