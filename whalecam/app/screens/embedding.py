"""The Map tab of the Patterns page: a point per image, what lies near what, and a gallery of a selection."""

import functools
from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from whalecam.analysis.patterns import places
from whalecam.app.charts import alternatives, audit_charts
from whalecam.app.components.gallery import Card, gallery
from whalecam.app.shell import jobs
from whalecam.app.shell.page_frame import errors_shown, plain
from whalecam.app.state import patterns_cache
from whalecam.app.widgets import bulk_review, chart_selection, filters, review_controls
from whalecam.commands import Embed
from whalecam.store.run import Run
from whalecam.store.table import Filters, Table
from whalecam.text import number
from whalecam.words import capital

COLOURINGS = {"assessment": "Assessment", "fold": "Fold", "right": "Right or wrong"}
"""By what points are coloured, besides the label, which has the run's word."""
WAYS = {"pca": "PCA", "umap": "UMAP"}
LAYING = "Laying out the images"
NO_VECTORS = (
    "This network gives probabilities alone, so there are no vectors to lay out. *Confused pairs* needs none of them."
)
NAMED, NEAREST, REST = 9, 12, "others"
PALETTE = ("#0e7490", "#d97706", "#7c3aed", "#15803d", "#be185d", "#2563eb", "#a16207", "#0f766e", "#dc2626")


def embedding_map(run: Run, table: Table, rail: DeltaGenerator) -> None:
    """The map beside the images of its selection, of all of them before, and the nearest images of one.

    Args:
        rail: the place of the filters.
    """
    rows, _ = patterns_cache.vectors_of(run)
    if len(rows) < places.FEWEST:
        if not run.has_positions:
            st.info(NO_VECTORS, icon=":material/info:")
            return
        st.info(places.AGAIN, title="This audit has no vectors", icon=":material/replay:")
        st.page_link("pages/2_Model.py", label="Start the audit", icon=":material/arrow_forward:")
        return
    chart, cards = st.columns([2, 3], gap="medium")
    with chart:
        _map(run, table, rows)
    with cards:
        view = filters.filter_bar(table, "map", run, rail=rail)
        with view.tools:
            bulk_review.offer(run, filters.shown_words(view), lambda: table.images(view.filters), "map")
        if len(view.filters.images or ()) == 1:
            with view.above:
                neighbours(run, table, next(iter(view.filters.images or ())))
        review_controls.reviewing_gallery(run, view, "map", neighbours)
        review_controls.news(run)


def _map(run: Run, table: Table, rows: pd.DataFrame) -> None:
    colourings = {"assessment": COLOURINGS["assessment"], "label": capital(run.words.label), **COLOURINGS}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        way = st.segmented_control(
            "Layout",
            list(WAYS),
            default="pca",
            key="map_way",
            bind="query-params",
            required=True,
            format_func=lambda name: WAYS[name],
        )
        colouring = st.selectbox(
            "Colour",
            list(colourings),
            key="map_colour",
            bind="query-params",
            format_func=lambda name: colourings[name],
            width=180,
        )
        positions, axes = _placed(run, rows, str(way))
    _chart(_labelled(table, rows), positions, str(colouring), axes)
    _say(table, rows)


def neighbours(run: Run, table: Table, image: str) -> None:
    """The images in which the network saw what is most like one image, nearest first."""
    rows, vectors = patterns_cache.vectors_of(run)
    at = np.flatnonzero(rows["image"].to_numpy() == image)
    if not len(at):
        st.caption("This image is not among the sample that is laid out.")
        return
    order, alike = places.nearest(vectors, int(at[0]), NEAREST)
    st.markdown(f"**Nearest to {plain(image)}** by the cosine of what the network saw")
    shown = table.page(Filters(images=tuple(rows["image"].iloc[order])), "name", NEAREST)
    by_name = {card.image: card for card in review_controls.cards_of(run, table, shown)}
    cards = []
    for name, cosine in zip(rows["image"].iloc[order], alike, strict=True):
        if name in by_name:
            card = by_name[name]
            cards.append(_with_line(card, f"cosine {number(cosine)}"))
    event = gallery(cards, key=f"near_{image}", selectable=False, columns_min_px=120)
    if event.opened:
        review_controls.open_image(event.opened)


def _with_line(card: Card, line: str) -> Card:
    return replace(card, lines=(card.lines[0], line, *card.lines[1:2]))


def _placed(run: Run, rows: pd.DataFrame, way: str) -> tuple[NDArray[np.floating], str]:
    """Places by the wished way, and its name; by PCA, with a button, while UMAP was not computed for this audit."""
    stored = places.kept(run, rows) if way == "umap" else None
    if stored is not None:
        return stored, way
    if way == "umap":
        job = jobs.status(run.path)
        running = job is not None and job.state == "running"
        if st.button("Compute UMAP", key="lay_out", type="primary", icon=":material/scatter_plot:", disabled=running):
            with errors_shown():
                jobs.start(run.path, LAYING, Embed(run=str(run.path)))
                st.rerun()
        st.caption("Not computed for this audit yet. Until then: PCA.")
    return patterns_cache.pca_of(run), "pca"


def _labelled(table: Table, rows: pd.DataFrame) -> pd.DataFrame:
    """The laid-out rows in their order, with the verdict at the present thresholds."""
    known = table.page(Filters(images=tuple(rows["image"])), "name", len(rows))[["image", "assessment", "correct"]]
    labelled = rows.merge(known, on="image", how="left")
    right = labelled["correct"].map({True: "right", False: "wrong"})
    return labelled.assign(
        assessment=labelled["assessment"].map(audit_charts.WORDS).fillna(""),
        right=right.fillna("label not known to the network"),
        fold="fold " + labelled["fold"].astype(str) + labelled["in_training"].map({True: ", trained on", False: ""}),
    )


def _chart(rows: pd.DataFrame, positions: NDArray[np.floating], colouring: str, axes: str) -> None:
    st.plotly_chart(
        points(rows, positions, colouring),
        key="map_points",
        on_select=functools.partial(chart_selection.note, "map_points", "map_region", axes),
        selection_mode=("lasso", "box", "points"),
        alt=alternatives.embedding(rows[colouring].astype(str), WAYS[axes]),
    )


def points(rows: pd.DataFrame, positions: NDArray[np.floating], colouring: str) -> go.Figure:
    """A point per image: `image`, `species`, `predicted` and the column that colours; the rarest share one colour."""
    groups = rows[colouring].astype(str)
    usual = groups.value_counts().index[:NAMED]
    groups = groups.where(groups.isin(usual), REST)
    fixed = {audit_charts.WORDS[name]: colour for name, colour in audit_charts.COLOURS.items()}
    symbols = {audit_charts.WORDS[name]: shape for name, shape in audit_charts.SHAPES.items()}
    traces = []
    for place, name in enumerate([*usual, *([REST] if (groups == REST).any() else [])]):
        own = (groups == name).to_numpy()
        colour = fixed.get(name) or ("#94a3b8" if name == REST else PALETTE[place % len(PALETTE)])
        traces.append(
            {
                "type": "scattergl",
                "x": positions[own, 0],
                "y": positions[own, 1],
                "mode": "markers",
                "name": f"{name} · {own.sum():,}",
                "marker": {
                    "color": colour,
                    "symbol": symbols.get(name, "circle"),
                    "size": 7,
                    "opacity": 0.8,
                    "line": audit_charts.EDGE,
                },
                "customdata": rows.loc[own, ["image", "label", "predicted"]].to_numpy(),
                "hovertemplate": "%{customdata[0]}<br>%{customdata[1]} → %{customdata[2]}<extra></extra>",
            }
        )
    bare = {"showticklabels": False, "showgrid": False, "zeroline": False}
    return audit_charts.figure(traces, height=460, legend=audit_charts.TOP, dragmode="lasso", xaxis=bare, yaxis=bare)


def _say(table: Table, rows: pd.DataFrame) -> None:
    drawn = f"{len(rows):,} images" if len(rows) < places.MOST else f"A sample of {len(rows):,} images"
    folds = " Vectors are standardised within each fold, whose networks differ." if rows["fold"].nunique() > 1 else ""
    st.caption(
        f"{drawn} of {table.count():,}; near means that the network saw alike, distances between far groups mean "
        f"little.{folds} Draw a lasso or a box to see those images alone; click one point for its nearest images."
    )
