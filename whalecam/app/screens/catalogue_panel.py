"""The individuals of a run: how often each is matched right, and its images, those of one encounter together."""

from collections.abc import Collection
from functools import partial

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from whalecam.app.components.gallery import Card, gallery
from whalecam.app.shell.page_frame import plain
from whalecam.app.state import image_cache, matches_cache
from whalecam.app.widgets.row_choice import choosing_table
from whalecam.data.encounters import TRAIN
from whalecam.errors import DatasetError
from whalecam.store.run import Run
from whalecam.words import Words, capital

SHOWN, HEIGHT_PX, CARD_PX, FIELD_PX = 24, 300, 120, 260


def catalogue_panel(run: Run, listed: Collection[str]) -> None:
    """The table of individuals; the images of the chosen one below. `listed`: the queries of the list above."""
    rows = matches_cache.catalogue_of(run)
    title = f"The catalogue ({len(rows):,} {run.words.groups})"
    with st.expander(title, expanded=matches_cache.keep_catalogue_open()):
        group, names = plain(run.words.group), tuple(rows["individual"])
        st.caption(f"A click before a row shows the images of this {group}.")
        look = _look(run.words)
        choosing_table(
            rows, "individual_rows", partial(matches_cache.choose_individual, names), look=look, height=HEIGHT_PX
        )
        name = st.text_input(capital(group), key=matches_cache.INDIVIDUAL, bind="query-params", width=FIELD_PX).strip()
        if name in names:
            _images(run, name, listed)
        elif name:
            st.info(f"No {group} of these matches is named {plain(name)}.", icon=":material/search_off:")


def _look(words: Words) -> dict[str, ColumnConfig]:
    titles = {
        "individual": capital(words.group),
        "images": "Images",
        "encounters": "Encounters",
        "looked_up": "Looked up",
        "right": "Matched right",
        "resting": f"Rests on the {words.background}",
        "taken_for": "Mostly taken for",
    }
    return {name: st.column_config.Column(title) for name, title in titles.items()}


def _images(run: Run, name: str, listed: Collection[str]) -> None:
    """Cards of the first images of an individual; a click shows the match of one."""
    rows = matches_cache.images_of(run, name)
    more = f" The first {SHOWN} are shown." if len(rows) > SHOWN else ""
    st.markdown(plain(f"{name}: {len(rows):,} images.{more}"))
    event = gallery(
        [_card(run, *row) for row in rows.head(SHOWN).itertuples(index=False)],
        key="individual_images",
        selectable=False,
        columns_min_px=CARD_PX,
    )
    if event.opened and event.opened in listed:
        matches_cache.show(event.opened)
        st.rerun()
    elif event.opened:
        st.toast(plain(f"{event.opened} is not in the list above. Choose another list, or it was not looked up."))


def _card(run: Run, image: str, encounter: str, part: str, matched: str | None, is_right: bool | None) -> Card:
    try:
        uri: str | None = image_cache.small_uri(run, image)
    except DatasetError:
        uri = None
    outcome = "learned from" if part == TRAIN else "not looked up"
    if isinstance(matched, str) and matched:
        outcome = "matched right" if is_right else f"matched to {matched}"
    return Card(image, uri, encounter or "encounter unknown", (image, outcome))
