"""The order of this session's queue, kept until one of the choices that it rests on changes."""

from collections.abc import Callable

import streamlit as st

QueueOrder = tuple[tuple[str, ...], frozenset[str]]
"""Images in their order, and those of them that are blind controls."""


def queue_order(key: tuple[object, ...], make: Callable[[], QueueOrder]) -> QueueOrder:
    """The order that was made for `key`, else a new one by `make`."""
    before: tuple[tuple[object, ...], QueueOrder] | None = st.session_state.get("_queue")
    if before is not None and before[0] == key:
        return before[1]
    order = make()
    st.session_state["_queue"] = (key, order)
    return order
