"""Which page of a list is shown."""

import streamlit as st


def keep_within(key: str, pages: int, choices: tuple[object, ...]) -> str:
    """The field with the page of the list `key`, after it was set to a page that there is.

    Args:
        pages: how many there are.
        choices: filters, order and size: where they are others than before, the list starts at its first page again.
    """
    field, before = f"{key}_page", st.session_state.get(f"_{key}_chosen")
    st.session_state[f"_{key}_chosen"] = choices
    if before not in (None, choices) and st.session_state.get(field, 1) != 1:
        st.session_state[field] = 1
    elif st.session_state.get(field, 1) > pages:
        st.session_state[field] = pages
    return field
