"""Values of the pages' fields, by their widget keys: what somebody chose, and what the next run is to show."""

from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx


def value(key: str, default: Any = None) -> Any:
    """The value of the field `key` in this session."""
    return st.session_state.get(key, default)


def shared_value(key: str) -> Any:
    """The value of a field that another page may have: this session's, else the address's, else None."""
    return st.session_state.get(key, st.query_params.get(key))


def set_values(**values: object) -> None:
    """Give fields other values; to be called before the fields are drawn, as in a callback."""
    st.session_state.update(values)


def component_state(key: str, name: str) -> Any:
    """The state `name` that the browser last sent of our component `key`; None before it sent any."""
    return (st.session_state.get(key) or {}).get(name)


def unbind(*names: str) -> None:
    """Let the parameters of fields that several pages have outlive the page; to be called after the fields are drawn.

    Where a page follows, *back* included, Streamlit drops the parameters that fields of the page before are bound to,
    although the new page has the same fields, and has no public way to say that it has. The browser goes on writing
    what is chosen into the address.
    """
    context = get_script_run_ctx()
    if context is None:
        return
    with context.session_state.query_params() as parameters:
        for name in names:
            if binding := parameters.get_binding_for_param(name):
                parameters.unbind_widget(binding.widget_id)
