"""The run that the next run of the page opens, and why one could not be made."""

from collections.abc import Collection

import streamlit as st


def open_next(name: str) -> None:
    """Let the next run of the page open the run `name`, which was just made."""
    st.session_state["_new_run"] = name


def apply(names: Collection[str]) -> None:
    """Choose the run to open, where it is one of `names`; to be called before the field is drawn."""
    if (name := st.session_state.pop("_new_run", None)) in names:
        st.session_state["run"] = name


def set_problem(problem: str, request: str) -> None:
    """Note why no run could be made of a `request`; "" where one was."""
    st.session_state["_own_problem"] = (request, problem)


def problem(request: str) -> str:
    """Why no run could be made of what is `request` for, where this was tried last; else empty."""
    tried, problem = st.session_state.get("_own_problem", ("", ""))
    return str(problem) if tried == request else ""
