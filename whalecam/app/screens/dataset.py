"""The Dataset page's own pieces: counts, distribution, table, sample grid."""

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd
import streamlit as st

from whalecam.app.charts import alternatives, audit_charts
from whalecam.app.components.gallery import Card, gallery
from whalecam.app.shell.page_frame import plain
from whalecam.app.state import fields, session
from whalecam.app.widgets.review_controls import open_image
from whalecam.arrays import typed_records
from whalecam.data import OK, Dataset, read_sample
from whalecam.errors import DatasetError
from whalecam.explain import render
from whalecam.store.run import Run
from whalecam.store.table import Filters, ListedRow, Table
from whalecam.text import percent
from whalecam.words import Words, capital

SAMPLE, OUTLINES = 24, 8
MAX_SIZE = 10
GIVEN = ("given", "boxes")
"""Sources of masks that people hand over."""


def show_counts(data: Dataset, words: Words) -> None:
    """Counts of the whole file."""
    table = data.table
    with st.container(horizontal=True):
        st.metric("Rows", f"{len(table):,}", border=True)
        st.metric("Usable", f"{int((table['status'] == OK).sum()):,}", border=True)
        st.metric(capital(words.labels), f"{len(data.classes()):,}", border=True)
        st.metric(capital(words.groups), f"{table.loc[table['group'] != '', 'group'].nunique():,}", border=True)
    st.caption(plain(f"{data.csv} · images in {data.images or 'no folder'} · fingerprint {data.fingerprint[:12]}"))
    if data.notes:
        st.caption(plain(" ".join(data.notes)))


def distribution(data: Dataset, words: Words) -> None:
    """Images per label and images per group; a click on a bar shows its images."""
    good = data.good()
    log = st.toggle("Logarithmic scale", key="dataset_log", bind="query-params")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        per_label = good["label"].value_counts()
        picked: Any = st.plotly_chart(
            audit_charts.counts(per_label, "images", log),
            key="species_counts",
            on_select="rerun",
            config=audit_charts.NO_TOOLS,
            alt=alternatives.counts(per_label, f"Images per {words.label}"),
        )
        if points := picked["selection"]["points"]:
            fields.set_values(dataset_label=[str(points[0]["y"])])
            st.info(f"Chosen: {plain(str(points[0]['y']))}. Its images and rows stand under Images and Table.")
    with right:
        per = good.loc[good["group"] != "", "group"].value_counts()
        if per.empty:
            st.caption(f"The CSV names no {words.groups}, so a split cannot keep them apart.")
            return
        st.caption(f"{capital(words.groups)} by how many images show them (most: {per.max():,})")
        sizes = group_sizes(per)
        st.plotly_chart(
            audit_charts.group_sizes(sizes, words),
            key="group_sizes",
            config=audit_charts.NO_TOOLS,
            alt=alternatives.group_sizes(sizes, words),
        )


def group_sizes(per: "pd.Series[int]") -> dict[str, int]:
    """How many groups have 1, 2 and so on images, with a 0 where none has; from 10 on in one."""
    counts = per.clip(upper=MAX_SIZE).value_counts()
    sizes = range(1, min(MAX_SIZE, int(per.max())) + 1)
    return {f"{size} or more" if size == MAX_SIZE else str(size): int(counts.get(size, 0)) for size in sizes}


def browse(data: Dataset, words: Words) -> None:
    """The table itself, searchable and sortable in place."""
    shown = chosen(data.table, words)
    st.dataframe(shown.drop(columns="path"), height=520, hide_index=True)
    st.caption(f"{len(shown):,} rows. Search with the magnifier at the table's corner; click a heading to sort.")


def chosen(table: pd.DataFrame, words: Words) -> pd.DataFrame:
    """Rows of the labels chosen on the page, or all."""
    labels = st.multiselect(
        capital(words.label),
        sorted(set(table["label"].unique()) - {""}),
        key="dataset_label",
        bind="query-params",
        placeholder="all",
    )
    return table[table["label"].isin(labels)] if labels else table


def outlines(run: Run) -> None:
    """Eight images with the outlines of the masks and boxes that were given, as the audit read them."""
    joins = run.manifest.joins
    cards = outline_cards(session.table_of(run)) if joins and run.parts() else []
    if not cards:
        return
    st.header("Outlines of your masks and boxes", anchor=False)
    for kind, join in joins.items():
        st.caption(plain(f"{kind.capitalize()}: {join['sentence']}"))
    shown = [replace(card, thumb_uri=session.thumb_uri(run, card.image)) for card in cards]
    event = gallery(shown, key="outlines", selectable=False)
    if event.opened:
        open_image(event.opened)


def outline_cards(table: Table) -> list[Card]:
    """A fixed random sample of the images whose mask was given, with its outline and its source."""
    rows = table.page(Filters(mask_sources=GIVEN), "random", OUTLINES)
    overlays = table.overlays_of(rows["image"].tolist())
    return [
        Card(
            row["image"],
            None,
            row["label"],
            (row["image"], f"{row['mask_source']} · {percent(row['mask_area'])} of the image"),
            mask_bits=overlays[row["image"]].mask_bits,
        )
        for row in typed_records(rows, ListedRow)
    ]


def batch(run: Run, data: Dataset) -> None:
    """A sample of images with their labels, as fastai's show_batch; the seed is in the URL."""
    rows = chosen(data.good(), run.words)
    seed = st.number_input(
        "Sample", 1, 9999, key="dataset_sample", bind="query-params", help="Another number shows other images"
    )
    if rows.empty or not (rows["path"] != "").any():
        st.info("There are no readable images to show. Name the image folder under “Open your own data”.")
        return
    sample = rows.sample(min(SAMPLE, len(rows)), random_state=int(seed))
    event = gallery(
        [card_of(run, row) for row in typed_records(sample, DatasetRow)],
        key="batch",
        selectable=False,
        openable=bool(run.parts()),
    )
    if event.opened:
        open_image(event.opened)


class DatasetRow(TypedDict):
    """What a card shows of a row of a data set."""

    image: str
    label: str
    group: str
    path: str


def card_of(run: Run, row: DatasetRow) -> Card:
    """An image with its label: the run's thumbnail of it, else one made now."""
    uri = session.thumb_uri(run, row["image"])
    if uri is None:
        try:
            data = render.thumbnail(read_sample(Path(row["path"]), row["image"]).pixels)
            uri = "data:image/webp;base64," + base64.b64encode(data).decode()
        except DatasetError as error:
            return Card(row["image"], None, row["label"], (row["image"], str(error)))
    return Card(row["image"], uri, row["label"], (row["image"], row["group"]))
