"""Folders that are dropped keep their paths.

Streamlit names an uploaded file by `webkitRelativePath`. Browsers fill it in for a folder that was chosen in a dialog
and leave it empty for one that was dropped: its files would arrive without their folders, which are their labels.
"""

import streamlit as st

from whalecam.app.components.assets import module

_component = st.components.v2.component("whalecam_dropped_folders", js=module("dropped_folders/dropped_folders.js"))


def keep_paths() -> None:
    """To be drawn on every page that has a `st.file_uploader` for folders."""
    _component(key="dropped_folders", height=0)
