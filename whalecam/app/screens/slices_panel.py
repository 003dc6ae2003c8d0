"""Slices, on Patterns: like images on which the network errs more often than on the rest of their label."""

import streamlit as st

from whalecam.analysis.patterns.slice_sentence import COLUMNS, slice_sentence, traits_sentence
from whalecam.analysis.patterns.slices import MIN_IMAGES, Slice, Trait, traits_of
from whalecam.app.components.gallery import gallery
from whalecam.app.shell import links
from whalecam.app.shell.page_frame import plain
from whalecam.app.state import patterns_cache, session
from whalecam.app.widgets import chart_selection, review_controls
from whalecam.store.run import Run
from whalecam.store.table import Filters, Table

SHOWN = 12


def slices(run: Run, table: Table) -> None:
    """The tab: what a slice is, and each one with its figures, what its images have in common, and their gallery."""
    st.caption(
        f"Images that the network had not seen in training, grouped within each {run.words.label} by what it saw in "
        f"them. A slice is a group with more mistakes than chance explains, of {MIN_IMAGES} images or more. Wrong "
        "labels and a background that is rare in training both make one: look at the images."
    )
    if patterns_cache.unseen_of(run).empty:
        st.info(
            "No image here was kept from training, so there are no mistakes to judge the network by. Train with a "
            "validation share or with folds, on the Model page.",
            icon=":material/info:",
        )
        return
    every = patterns_cache.slices_of(run)
    if not every:
        st.success(
            "Mistakes are spread as chance would spread them: no group of like images stands out.",
            icon=":material/check_circle:",
        )
    for number, each in enumerate(every, 1):
        _slice(run, table, each, f"slice_{number}")


def _slice(run: Run, table: Table, each: Slice, key: str) -> None:
    with st.container(border=True):
        st.markdown(f"**{plain(each.label)}** · {plain(slice_sentence(each, run.words))}")
        if sentence := traits_sentence(_traits(run, table, each), run.words):
            st.markdown(plain(sentence))
        rows = table.page(Filters(images=each.images[:SHOWN]), "name", SHOWN)
        by_name = {card.image: card for card in review_controls.cards_of(run, table, rows)}
        cards = [by_name[name] for name in each.images[:SHOWN] if name in by_name]
        event = gallery(cards, key=f"cards_{key}", selectable=False, columns_min_px=110)
        if event.opened:
            review_controls.open_image(event.opened)
        count = len(each.images)
        if st.button(f"Open the {count:,} images", key=f"open_{key}", icon=":material/photo_library:"):
            points = [{"customdata": [image]} for image in each.images]
            links.go("Leaks", leaks_region=chart_selection.encode({"points": points}, ""))


def _traits(run: Run, table: Table, each: Slice) -> list[Trait]:
    """In what it differs from the label's other unseen images, by the table and by what was measured on files."""
    rows = table.all_rows(Filters(labels=(each.label,), in_training=False))
    measured = session.properties_of(run)
    columns = [name for name in COLUMNS if name in measured and name not in rows]
    rows = rows.merge(measured[["image", *columns]], "left", "image")
    is_here = rows["image"].isin(each.images)
    return traits_of(rows[is_here], rows[~is_here], COLUMNS)
