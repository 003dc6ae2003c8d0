"""Which match the Matches page shows, and its tables, read once for all sessions."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from whalecam.analysis import individual_catalogue
from whalecam.app.state import fields, session
from whalecam.config import SUSPECT_ASSESSMENTS, Thresholds
from whalecam.store.matches import MatchRecord, MatchTables
from whalecam.store.reviews.match_verdicts import MatchJournal
from whalecam.store.run import MATCH_IMAGES, MATCH_QUERIES, Run, open_run

QUERY = "match_query"
"""The field of the query that is shown."""
NEXT = "match_query_next"
"""What the field is to be in the next run: it cannot be changed once it is drawn."""
BEFORE = "match_query_before"
"""The query that was in view in the last run."""
INDIVIDUAL = "match_individual"
"""The field of the individual whose images are shown."""
OPEN = "match_catalogue_open"
"""Whether the catalogue was opened by an individual."""


def matches_of(run: Run) -> pd.DataFrame:
    """One row per query: see `MatchTables.assessed`, at this session's thresholds."""
    return _assessed(str(run.path), _parts(run), session.thresholds())


def record_of(run: Run) -> MatchRecord | None:
    """How the matches were made."""
    return MatchTables(run).record


def pairs_of(run: Run, query: str) -> pd.DataFrame:
    """The candidates of one query, with their maps."""
    return _pairs(str(run.path), _parts(run), query)


def journal_of(run: Run) -> MatchJournal:
    """The journal of verdicts on matches."""
    return _journal(run.reviews_url, run.reviews_key)


def show(query: str) -> None:
    """Show another query in the next run of the page."""
    st.session_state[NEXT] = query


def shown(queries: list[str]) -> tuple[str, str]:
    """The query in view, whose field is filled in, and what was asked for instead where the list lacks it, else "".

    The list then goes on from the query that was in view before, or from its first one. Nobody asks for the query that
    leaves the list: it was signed, or another list was chosen.
    """
    before = fields.value(BEFORE)
    wanted = str(st.session_state.pop(NEXT, None) or fields.shared_value(QUERY) or "").strip()
    query = next(name for name in (wanted, before, queries[0]) if name in queries)
    fields.set_values(**{QUERY: query, BEFORE: query})
    return query, "" if wanted in (query, before) else wanted


def catalogue_of(run: Run) -> pd.DataFrame:
    """One row per individual: see `individual_catalogue.catalogue`."""
    return _catalogue(str(run.path), _parts(run), session.thresholds())


def images_of(run: Run, name: str) -> pd.DataFrame:
    """The images of an individual: see `individual_catalogue.images_of`."""
    return individual_catalogue.images_of(_images(str(run.path), _parts(run)), matches_of(run), name)


def choose_individual(names: Sequence[str], at: int | None) -> None:
    """Choose the individual at a place of the catalogue, or none."""
    fields.set_values(**{INDIVIDUAL: "" if at is None else names[at]})


def keep_catalogue_open() -> bool:
    """Keep the catalogue open once the field of the individual, or the address, named one; returns whether it is."""
    is_open = bool(fields.value(OPEN) or fields.shared_value(INDIVIDUAL))
    fields.set_values(**{OPEN: is_open})
    return is_open


def _parts(run: Run) -> tuple[str, ...]:
    return tuple(part.name for part in MatchTables(run).parts(MATCH_QUERIES))


@st.cache_data(max_entries=8, show_spinner="Reading the matches …")
def _assessed(path: str, parts: tuple[str, ...], thresholds: Thresholds) -> pd.DataFrame:
    return MatchTables(open_run(Path(path))).assessed(thresholds)


@st.cache_data(max_entries=8, show_spinner=False)
def _catalogue(path: str, parts: tuple[str, ...], thresholds: Thresholds) -> pd.DataFrame:
    matches = _assessed(path, parts, thresholds)
    resting = matches["assessment"].isin(SUSPECT_ASSESSMENTS)
    return individual_catalogue.catalogue(_images(path, parts), matches, resting)


@st.cache_data(max_entries=8, show_spinner=False)
def _images(path: str, parts: tuple[str, ...]) -> pd.DataFrame:
    return MatchTables(open_run(Path(path))).read(MATCH_IMAGES, ["image", "individual", "encounter", "part"])


@st.cache_data(max_entries=64, show_spinner=False)
def _pairs(path: str, parts: tuple[str, ...], query: str) -> pd.DataFrame:
    return MatchTables(open_run(Path(path))).pairs_of(query)


@st.cache_resource(max_entries=16, show_spinner=False)
def _journal(url: str, run: str) -> MatchJournal:
    return MatchJournal(url, run)
