"""Slices, on Patterns: like images on which the network errs more often than on the rest of their label."""

import streamlit as st

from whalecam.analysis.patterns.slice_sentence import slice_sentence, traits_sentence
from whalecam.analysis.patterns.slices import MIN_IMAGES, Slice
from whalecam.app.shell.page_frame import plain
from whalecam.app.state import patterns_cache
from whalecam.app.widgets.named_images import named_images, open_all_button
from whalecam.store.run import Run
from whalecam.store.table import Table


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
        if sentence := traits_sentence(patterns_cache.traits_of(run, table, each), run.words):
            st.markdown(plain(sentence))
        named_images(run, table, each.images, f"cards_{key}")
        open_all_button(each.images, f"open_{key}")
