"""Key presses and clicks from our components, kept until a run of the page gets to handle them.

Streamlit hands a trigger to one run only, which the next click stops wherever it is, and drops it altogether when two
messages of the browser fall into one run. So a verdict signed by key could be lost. Hence our components keep the
numbered events of the last seconds in a state, `did`, which goes with every message, and a callback, which runs before
the page does, notes down those that are new.
"""

import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

import streamlit as st

PATIENCE = 10.0
"""Seconds after which an event is stale: its page was left before it could be handled."""


def inbox(key: str) -> str:
    """What the component `key` addresses its events to, so that those meant for an earlier session are not taken."""
    return str(_place(key)["inbox"])


def noting(key: str) -> Callable[[], None]:
    """The callback for the state `did` of the component `key`: a list of {number, to, name, value}, oldest first."""

    def note() -> None:
        place = _place(key)
        for event in (st.session_state.get(key) or {}).get("did") or ():
            if event["to"] == place["inbox"] and event["number"] > place["last"]:
                place["last"] = event["number"]
                place["waiting"].append((event["name"], event["value"], time.monotonic()))

    return note


def take(key: str) -> tuple[str, Any] | None:
    """The oldest event of the component `key` that nobody has handled yet, as (name, value)."""
    waiting = _place(key)["waiting"]
    while waiting:
        name, value, at = waiting.pop(0)
        if time.monotonic() - at <= PATIENCE:
            return name, value
    return None


def show(key: str, names: Iterable[str]) -> None:
    """Note what the component `key` shows now."""
    place, now = _place(key), time.monotonic()
    gone = dict.fromkeys(place["shown"], now) | {name: at for name, at in place["gone"].items() if now - at < PATIENCE}
    place["shown"] = dict.fromkeys(names)
    place["gone"] = {name: at for name, at in gone.items() if name not in place["shown"]}


def seen(key: str) -> tuple[str, ...]:
    """What the component `key` shows, and then what it showed lately, which its events may still speak of."""
    place = _place(key)
    return (*place["shown"], *place["gone"])


def _place(key: str) -> dict[str, Any]:
    empty = {"inbox": secrets.token_hex(8), "last": 0, "waiting": [], "shown": {}, "gone": {}}
    return st.session_state.setdefault(f"_events_{key}", empty)  # type: ignore[no-any-return]
