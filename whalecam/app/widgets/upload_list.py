"""What a session uploaded, with its size and a way to delete it."""

import streamlit as st

from whalecam.app.shell.page_frame import plain
from whalecam.app.state import own_data
from whalecam.store.uploads import in_words

NAMED = 3


def upload_list() -> None:
    """A line for each upload; deleting one asks once more, and names the runs that read from it."""
    for upload in own_data.listed_uploads():
        with st.container(horizontal=True, vertical_alignment="center"):
            files = f"{upload.files:,} file{'' if upload.files == 1 else 's'}"
            tops = ", ".join(upload.tops[:NAMED]) + (", …" if len(upload.tops) > NAMED else "")
            st.caption(plain(f"Uploaded: {tops} · {files}, {in_words(upload.size)}"), width="stretch")
            with st.popover("Delete", icon=":material/delete:", key=f"delete_{upload.name}"):
                if users := own_data.runs_of(upload):
                    st.warning(plain(f"These runs read from it and lose their images: {', '.join(users)}."))
                st.button("Delete these files", key=f"deleted_{upload.name}", on_click=own_data.delete, args=(upload,))
