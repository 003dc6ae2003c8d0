"""Images of a data set at the size of the Heatmaps page, made once for all sessions."""

import base64
import io
from pathlib import Path

import streamlit as st
from PIL import Image

from whalecam import data
from whalecam.app.state import session
from whalecam.errors import DatasetError
from whalecam.store.run import Run

MAX_SIDE_PX, CARD_SIDE_PX = 1280, 256


def image_uri(run: Run, image: str) -> str:
    """The upright image as a WebP data URI, at most MAX_SIDE_PX pixels long; made again where its file changed.

    Raises DatasetError with the reason where it cannot be read.
    """
    path = image_file(run, image)
    return _uri(str(path), session.stamp_of(path), image)


def small_uri(run: Run, image: str) -> str:
    """The same as a small one for a card, at most CARD_SIDE_PX pixels long."""
    path = image_file(run, image)
    return _small_uri(str(path), session.stamp_of(path), image)


def image_file(run: Run, image: str) -> Path:
    """Where an image lies. Raises DatasetError for one without a readable file."""
    path = _file(session.source_of(run), image)
    if not path:
        raise DatasetError(f"'{image}' has no readable file in {run.manifest.dataset.images}.")
    return Path(path)


@st.cache_resource(max_entries=4000, show_spinner=False)
def _file(source: session.Source, image: str) -> str:
    """Where an image lies; "" for one without a readable file. Looking for it in a million rows takes 10 ms."""
    rows = session.read_data(source).table
    paths = rows.loc[rows["image"] == image, "path"]
    return str(paths.iloc[0] or "") if len(paths) else ""


@st.cache_resource(max_entries=32, show_spinner=False)
def _uri(path: str, stamp: int, image: str) -> str:
    return _encoded(path, image, MAX_SIDE_PX)


@st.cache_resource(max_entries=512, show_spinner=False)
def _small_uri(path: str, stamp: int, image: str) -> str:
    return _encoded(path, image, CARD_SIDE_PX)


def _encoded(path: str, image: str, side: int) -> str:
    pixels = Image.fromarray(data.read_sample(Path(path), image, side).pixels)
    pixels.thumbnail((side, side))
    buffer = io.BytesIO()
    pixels.save(buffer, "WEBP", quality=88)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
