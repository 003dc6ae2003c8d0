"""Images that an analysis names: cards of the first of them in its order, and the way to all."""

from collections.abc import Sequence

import streamlit as st

from whalecam.app.components.gallery import gallery
from whalecam.app.shell import links
from whalecam.app.widgets import chart_selection, review_controls
from whalecam.store.run import Run
from whalecam.store.table import Filters, Table

SHOWN = 12


def named_images(run: Run, table: Table, images: Sequence[str], key: str) -> None:
    """Cards of the first SHOWN that have a row; opening one shows it large."""
    first = tuple(images[:SHOWN])
    rows = table.page(Filters(images=first), "name", SHOWN)
    by_name = {card.image: card for card in review_controls.cards_of(run, table, rows)}
    cards = [by_name[name] for name in first if name in by_name]
    event = gallery(cards, key=key, selectable=False, columns_min_px=110)
    if event.opened:
        review_controls.open_image(event.opened)


def open_all_button(images: Sequence[str], key: str) -> None:
    """A button that leads to all of them on the Leaks page."""
    if st.button(f"Open the {len(images):,} images", key=key, icon=":material/photo_library:"):
        links.go("Leaks", leaks_region=chart_selection.region_of(images))
