"""Filters and order of a list under a name, kept with the run for everybody who reviews it."""

import streamlit as st

from whalecam.app.shell.page_frame import errors_shown, plain
from whalecam.app.state import fields, pending
from whalecam.app.widgets.filters import EMPTY
from whalecam.store.run import Run
from whalecam.store.views import MAX_NAME, SavedView, remove_view, save_view, views_in

KEPT = (*EMPTY, "order", "size")


def saved_views(run: Run, key: str) -> None:
    """A popover with the views of the list `key`: show one, delete it, bring it back, keep what is set under a name."""
    with st.popover("Views", icon=":material/bookmark:", key=f"{key}_views", type="tertiary"), errors_shown():
        own = [view for view in views_in(run.views) if view.of == key]
        if not own:
            st.caption("Filters and order that you keep here under a name are there for everybody who opens this run.")
        for number, view in enumerate(own):
            with st.container(horizontal=True, vertical_alignment="center"):
                at = f"{key}_view_{number}"
                st.button(plain(view.name), key=at, on_click=_show, args=(view,), width="stretch")
                st.button("Delete", key=f"{at}_delete", icon=":material/delete:", on_click=_remove, args=(run, view))
        removed = pending.REMOVED_VIEW.get()
        if removed and removed.of == key:
            label = f"Bring back {plain(removed.name)}"
            st.button(label, key=f"{key}_view_back", icon=":material/undo:", on_click=_bring_back, args=(run,))
        st.text_input("Name", key=f"{key}_view_name", max_chars=MAX_NAME, placeholder="a name for what is set now")
        if st.button("Keep this view", key=f"{key}_view_keep", type="primary"):
            name = str(fields.value(f"{key}_view_name") or "").strip()
            save_view(run.views, SavedView(name, key, {field: fields.value(f"{key}_{field}") for field in KEPT}))
            st.rerun()


def _show(view: SavedView) -> None:
    fields.set_values(**{f"{view.of}_{name}": value for name, value in view.fields.items() if name in KEPT})


def _remove(run: Run, view: SavedView) -> None:
    remove_view(run.views, view)
    pending.REMOVED_VIEW.set(view)


def _bring_back(run: Run) -> None:
    if view := pending.REMOVED_VIEW.pop():
        save_view(run.views, view)
