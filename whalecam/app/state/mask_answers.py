"""What the server has to say to the mask that is being drawn in a session's browser."""

import streamlit as st

from whalecam.app.components.canvas.drawing import Answer

KEY = "_mask_answer"


def note(answer: Answer) -> None:
    """Let the canvas hear of it when it is drawn next."""
    st.session_state[KEY] = answer


def latest() -> Answer | None:
    """The last answer; the canvas knows by its id whether it waits for it."""
    answer: Answer | None = st.session_state.get(KEY)
    return answer
