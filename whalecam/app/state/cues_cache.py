"""What the pages show of a run's cues beyond the background's looks, computed once for each state of its table."""

from collections.abc import Mapping, Sequence

import streamlit as st

from whalecam.analysis.cues import CueFinding, cue_findings, cues_of_images
from whalecam.store.cue_rows import CueRow, classes_in, cue_rows, earlier_classes
from whalecam.store.run import Run, parts_in


def cues_of(run: Run) -> list[CueFinding]:
    """See `analysis.cues.cue_findings`; empty where nothing was tested."""
    return _findings(run, *_key(run))


def cues_of_image(run: Run, image: str) -> Sequence[CueFinding]:
    """The cues that an image relies on, the costliest first."""
    return _of_images(run, *_key(run)).get(image, ())


def tested_of(run: Run) -> tuple[int, frozenset[str]]:
    """How many images were tested, and the predicted classes of these."""
    rows = _rows(run, *_key(run))
    return len(rows), classes_in(rows)


def earlier_of(run: Run) -> frozenset[str]:
    """The predicted classes that an earlier edition of the test measured: see `cue_rows.earlier_classes`."""
    return _earlier(run, *_key(run))


def _key(run: Run) -> tuple[str, str, tuple[str, ...]]:
    return str(run.path), run.manifest.model_sha256, tuple(part.name for part in parts_in(run.cues))


@st.cache_resource(max_entries=4, show_spinner=False)
def _rows(_run: Run, path: str, model: str, parts: Sequence[str]) -> list[CueRow]:
    return cue_rows(_run)


@st.cache_resource(max_entries=4, show_spinner="Comparing cues with their placebos …")
def _findings(_run: Run, path: str, model: str, parts: Sequence[str]) -> list[CueFinding]:
    return cue_findings(_rows(_run, path, model, parts))


@st.cache_resource(max_entries=4, show_spinner=False)
def _earlier(_run: Run, path: str, model: str, parts: Sequence[str]) -> frozenset[str]:
    return earlier_classes(_run)


@st.cache_resource(max_entries=4, show_spinner=False)
def _of_images(_run: Run, path: str, model: str, parts: Sequence[str]) -> Mapping[str, Sequence[CueFinding]]:
    return cues_of_images(_findings(_run, path, model, parts))
