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

_saver = st.components.v2.component(
    "whalecam_download",
    js="""
    const done = new Set()
    export default function ({ data }) {
      if (!data.ticket || done.has(data.ticket)) return
      done.add(data.ticket)
      const bytes = Uint8Array.from(atob(data.content), (letter) => letter.charCodeAt(0))
      const link = document.createElement("a")
      link.href = URL.createObjectURL(new Blob([bytes], { type: data.mime }))
      link.download = data.name
      link.click()
      setTimeout(() => URL.revokeObjectURL(link.href), 60000)
    }
    """,
)


def download(label: str, made: Callable[[], bytes], name: str, mime: str, key: str, **look: Any) -> None:
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
