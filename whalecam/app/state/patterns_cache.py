"""What the Patterns page computes once per audit: vectors, places, strategies, atlases."""

import base64
import io
from collections.abc import Sequence

import cv2
import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from whalecam.analysis.patterns import atlas, places, slices, strategies
from whalecam.analysis.patterns.atlas import AROUND, Atlas
from whalecam.analysis.patterns.slice_sentence import COLUMNS
from whalecam.analysis.patterns.slices import Slice, Trait
from whalecam.analysis.patterns.strategies import Strategy
from whalecam.app.state import session
from whalecam.arrays import Report, silent
from whalecam.explain import render
from whalecam.store.run import Run
from whalecam.store.table import Filters, Table, aligned
from whalecam.store.table.maps import stored_maps

SIDE, COLOURS, EMPTY = 192, "magma", (226, 232, 240)


def vectors_of(run: Run) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """The images that are laid out, and their vectors (N, K) of length 1; empty for an older audit."""
    return _vectors(run, str(run.path), places.stamp(run))


def pca_of(run: Run) -> NDArray[np.float64]:
    """The places (N, 2) of the same images by PCA."""
    return _pca(run, str(run.path), places.stamp(run))


def strategies_of(run: Run, species: str) -> list[Strategy]:
    """See `patterns.strategies`."""
    return _strategies(run, species, str(run.path), places.stamp(run))


def unseen_of(run: Run) -> pd.DataFrame:
    """The images that slices are found among: no network was trained on them, and theirs knows their label."""
    return _unseen(run, str(run.path), places.stamp(run))[0]


def slices_of(run: Run) -> list[Slice]:
    """See `patterns.slices`."""
    return _slices(run, str(run.path), places.stamp(run))


def traits_of(run: Run, table: Table, each: Slice) -> list[Trait]:
    """In what a slice differs from the label's other unseen images, by the table and by what was measured on files."""
    return _traits(run, table, each, str(run.path), places.stamp(run), len(run.property_parts()))


def atlases_of(run: Run, species: Sequence[str], report: Report = silent) -> dict[str, Atlas]:
    """See `patterns.atlas`: that of each species which has images with maps; `report` is told while they are made."""
    made = _atlases(str(run.path), places.stamp(run))
    if any(name not in made for name in species):
        resize = str(run.manifest.network.get("resize", "squish"))
        fresh = atlas.atlases(stored_maps(run.parts(), species, atlas.MOST, report), run.manifest.classes, resize)
        made.update({name: fresh.get(name) for name in species})
    return {name: mean_map for name in species if (mean_map := made[name]) is not None}


def heat_uri(mean: NDArray[np.float64], boxed: bool = False) -> str:
    """A mean map (h, w) in colour, from 0 to its largest value, as a data URI; grey where it is NaN.

    Args:
        boxed: whether to draw the box that an atlas is laid out around.
    """
    top = np.nanmax(mean) if np.isfinite(mean).any() else 0
    level = np.nan_to_num(mean / top if top > 0 else np.zeros_like(mean))
    colour = render.lut(COLOURS)[(np.clip(level, 0, 1) * 255).astype(np.uint8)]
    colour[~np.isfinite(mean)] = EMPTY
    pixels = cv2.resize(colour, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST if boxed else cv2.INTER_LINEAR)
    if boxed:
        edge = round(SIDE * AROUND / (1 + 2 * AROUND))
        cv2.rectangle(pixels, (edge, edge), (SIDE - edge - 1, SIDE - edge - 1), (255, 255, 255), 1)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


@st.cache_resource(max_entries=2, show_spinner="Reading what the network saw …")
def _vectors(_run: Run, path: str, stamp: str) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    rows = places.laid_out(_run)
    return rows.drop(columns="embedding"), aligned(rows)


@st.cache_resource(max_entries=2, show_spinner=False)
def _pca(_run: Run, path: str, stamp: str) -> NDArray[np.float64]:
    return places.pca(vectors_of(_run)[1])


@st.cache_resource(max_entries=2, show_spinner="Reading what the network saw …")
def _unseen(_run: Run, path: str, stamp: str) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    return slices.unseen(_run)


@st.cache_resource(max_entries=8, show_spinner="Comparing mistakes …")
def _slices(_run: Run, path: str, stamp: str) -> list[Slice]:
    return slices.slices(*_unseen(_run, path, stamp))


@st.cache_resource(max_entries=64, show_spinner=False)
def _traits(_run: Run, _table: Table, each: Slice, path: str, stamp: str, measured: int) -> list[Trait]:
    rows, properties = _table.all_rows(Filters(labels=(each.label,), in_training=False)), session.properties_of(_run)
    columns = [name for name in COLUMNS if name in properties and name not in rows]
    rows = rows.merge(properties[["image", *columns]], "left", "image")
    is_here = rows["image"].isin(each.images)
    return slices.traits_of(rows[is_here], rows[~is_here], COLUMNS)


@st.cache_resource(max_entries=64, show_spinner="Comparing maps …")
def _strategies(_run: Run, species: str, path: str, stamp: str) -> list[Strategy]:
    rows = stored_maps(_run.parts(), (species,), strategies.MOST)
    return strategies.strategies(rows, _run.manifest.classes)


@st.cache_resource(max_entries=4, show_spinner=False)
def _atlases(path: str, stamp: str) -> dict[str, Atlas | None]:
    """The atlases made so far; kept apart from their making, which shows how far it is."""
    return {}
