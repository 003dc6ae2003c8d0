"""Files for the browser that no address of the server holds.

Streamlit's own download button lays the file under `/media/` and a hash of its content, where whoever has the address
gets it, signed in or not. Here it travels over the session's own connection, made when it is asked for, and the browser
keeps it.
"""

import base64
import secrets
from collections.abc import Callable
from typing import Any

import streamlit as st

from whalecam.app.components.assets import module

_saver = st.components.v2.component(
    "whalecam_download",
    js=module("download/download.js"),
)


def download(label: str, made: Callable[[], bytes], *, name: str, mime: str, key: str, **look: Any) -> None:
    """A button that makes a file and hands it to the browser.

    Args:
        made: the file's content; called after the click, so it costs nothing before. Its errors become messages.
        name: of the file.
        look: whatever else `st.button` takes.
    """
    if st.button(label, key=key, **look):
        content = base64.b64encode(made()).decode()
        data = {"ticket": secrets.token_hex(8), "content": content, "name": name, "mime": mime}
        _saver(key=f"{key}_saver", data=data, height=0)
