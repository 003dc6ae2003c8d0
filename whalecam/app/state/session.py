"""Every cache and all session state of the dashboard, behind named functions."""

import argparse
import base64
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from whalecam.analysis import findings, placement
from whalecam.analysis.class_order import ClassOrder, proposed_order
from whalecam.analysis.findings import Evidence, Finding, properties
from whalecam.analysis.findings.outliers import MOST
from whalecam.analysis.placement import Placement
from whalecam.app.shell import access
from whalecam.app.state import reviewer_name
from whalecam.app.widgets.signer import Results, Signer
from whalecam.arrays import Report, silent
from whalecam.config import THRESHOLDS, AuditOptions, Columns, MaskOptions, Thresholds
from whalecam.data import Dataset, open_dataset, with_merges
from whalecam.errors import DatasetError, RunError, WhalecamError
from whalecam.store.corrected import latest_reviews as latest_reviews_of
from whalecam.store.open_table import open_table
from whalecam.store.reviews import Corrections, Dismissals, Journal
from whalecam.store.run import Run, is_audited, list_runs, manifest_in, open_run
from whalecam.store.table import Store, Table, embeddings, unseen_odds
from whalecam.store.thumbnails import thumbnail_of
from whalecam.words import Words

DEMO = "demo"
Pairs = tuple[tuple[str, str], ...]


class Source(NamedTuple):
    """What a data set is read from, its columns and labels map as pairs, and when its CSV was changed."""

    csv: str
    images: str | None
    columns: Pairs
    merges: Pairs
    stamp: int


def runs_folder() -> Path:
    """Where run folders lie: WHALECAM_RUNS, else `runs` in the present folder."""
    return Path(os.environ.get("WHALECAM_RUNS", "runs")).resolve()


def run_paths() -> dict[str, Path]:
    """Name → folder of every run that can be chosen: those of the command line first, then the newest."""
    given = [Path(path).resolve() for path in _arguments().run]
    return {path.name: path for path in (*list_runs(runs_folder()), *given)}


def preferred_run() -> str | None:
    """The run that opens first: the command line's, else the newest audited one, else the newest."""
    given = _arguments().run
    if given:
        return Path(given[0]).resolve().name
    paths = run_paths()
    audited = [name for name, path in paths.items() if is_audited(path)]
    return next(iter([*audited, *paths]), None)


def open_named(name: str) -> Run:
    """Open a run by its name in `run_paths`; a changed manifest is read again."""
    path = run_paths().get(name)
    if path is None:
        raise RunError(f"There is no run '{name}'. Choose one of: {', '.join(run_paths())}.")
    return _run(str(path), stamp_of(manifest_in(path)))


def other_runs(run: Run, most: int) -> Iterator[Run]:
    """The newest other runs that can be opened, at most so many."""
    for name, path in list(run_paths().items())[:most]:
        with suppress(WhalecamError):
            if path != run.path:
                yield open_named(name)


def run_name(text: str) -> str:
    """A text as the name of a run folder; empty where nothing of it can be one."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in text.strip())


def data_of(run: Run) -> Dataset:
    """The run's data set; read again when its CSV changed."""
    return read_data(source_of(run))


def source_of(run: Run) -> Source:
    """What `data_of` is read from; says so where its CSV is gone."""
    record = run.manifest.dataset
    csv = Path(record.csv)
    if not csv.exists():
        raise DatasetError(f"The CSV of run '{run.name}' is gone: {csv}. Put it back, or open the data set anew.")
    columns, merges = (tuple(sorted(pairs.items())) for pairs in (record.columns, record.merges))
    return Source(record.csv, record.images, columns, merges, stamp_of(csv))


def properties_of(run: Run) -> pd.DataFrame:
    """What was measured on the images so far: see `findings.properties`."""
    return _properties(str(run.properties), len(run.property_parts()))


def findings_of(run: Run) -> list[Finding]:
    """What is wrong with the run's data set, from its table, its audit and what was measured on its images so far."""
    data, options = data_of(run), AuditOptions.stored(run.manifest.audit)
    parts = len(run.property_parts())
    audited = run.parts()
    key = (
        str(data.csv),
        data.fingerprint,
        tuple(sorted(data.merges.items())),
        str(run.path),
        parts,
        len(audited),
        audited[-1].name if audited else "",
        run.words,
    )
    return _findings(run, data, replace(options, masks=None), key)


def dismissals_of(run: Run) -> Dismissals:
    """The findings that people set aside."""
    return _dismissals(run.reviews_url, run.manifest.dataset.csv)


def journal_of(run: Run) -> Journal:
    """The journal of people's verdicts."""
    return _journal(run.reviews_url, run.reviews_key)


def corrections_of(run: Run) -> Corrections:
    """The masks that people corrected."""
    return _corrections(run.reviews_url, run.reviews_key)


def thresholds() -> Thresholds:
    """Where scores become verdicts in this session."""
    given = {name: st.session_state.get(name, getattr(Thresholds, name)) for name in THRESHOLDS}
    return Thresholds(**{name: float(value) for name, value in given.items()})


def table_of(run: Run, at: Thresholds | None = None, report: Report = silent) -> Table:
    """The run's table at this session's thresholds, with the newest verdicts; its rows are held once for all."""
    return open_table(
        run,
        at or thresholds(),
        store=_store(str(run.path)),
        journal=journal_of(run),
        corrections=corrections_of(run),
        report=report,
    )


def class_order_of(run: Run, confusion: pd.DataFrame) -> ClassOrder | None:
    """Another order of the network's classes, where it explains its confusions: see `proposed_order`."""
    return _class_order(confusion, run.manifest.classes)


def results() -> Results:
    """What came of this session's verdicts: see `Results`."""
    return st.session_state.setdefault("_results", Results())  # type: ignore[no-any-return]


def up_to_date(run: Run) -> None:
    """Note that the page shows the journal as it is now."""
    shown = results()
    shown.entries, shown.waiting = (run.reviews_url, journal_of(run).version()), 0


@contextmanager
def drawing_verdicts() -> Iterator[None]:
    """Around all that shows this session's newest verdicts: they count as shown once it was drawn to its end."""
    shown = results()
    waiting = shown.waiting
    yield
    shown.drawn(waiting)


def is_behind(run: Run) -> bool:
    """Whether the journal holds entries that the page does not show."""
    return results().is_behind(run.reviews_url, journal_of(run).version())


def reviewer() -> str:
    """Who signs verdicts in this session; empty until asked."""
    return access.who() or reviewer_name.name()


def signer(run: Run, **words: Any) -> Signer:
    """All that a verdict of this session needs, read now: see `Signer`."""
    controls: frozenset[str] = st.session_state.get("_controls", frozenset())
    return Signer(journal_of(run), reviewer(), thresholds(), controls=controls, results=results(), **words)


def hide_scores(controls: frozenset[str]) -> None:
    """Note which images of the page are blind controls."""
    st.session_state["_controls"] = controls


def latest_reviews(run: Run) -> pd.DataFrame:
    """See `corrected.latest_reviews`."""
    return latest_reviews_of(journal_of(run), corrections_of(run))


def thumb_uri(run: Run, image: str) -> str | None:
    """A thumbnail as a data URI, so that no image is served outside this session; None where there is none."""
    if (thumb := thumbnail_of(run, image)) is None:
        return None
    kind = "jpeg" if thumb.startswith(b"\xff\xd8\xff") else "webp"
    return f"data:image/{kind};base64," + base64.b64encode(thumb).decode()


@st.cache_resource(max_entries=16, show_spinner=False)
def _run(path: str, stamp: int) -> Run:
    return open_run(Path(path))


@st.cache_resource(max_entries=4, show_spinner="Reading the data set …")
def read_data(source: Source) -> Dataset:
    folder, columns = Path(source.images) if source.images else None, Columns(**dict(source.columns))
    return with_merges(open_dataset(Path(source.csv), folder, columns, needs_group=False), dict(source.merges))


@st.cache_resource(max_entries=4, show_spinner=False)
def _store(path: str) -> Store:
    return Store()


@st.cache_resource(max_entries=4, show_spinner=False)
def _properties(folder: str, parts: int) -> pd.DataFrame:
    return properties.kept(Path(folder)).drop_duplicates("image", keep="last")


@st.cache_resource(max_entries=4, show_spinner="Looking for what is wrong …")
def _findings(_run: Run, _data: Dataset, options: MaskOptions, key: tuple[object, ...]) -> list[Finding]:
    rows = properties_of(_run)
    rows = rows[rows["image"].isin(_data.good()["image"])]
    upright, refused = _boxes(_data, options, _run.words)
    data = properties.with_faults(_data, rows) if len(rows) else _data
    if _run.parts():
        data = properties.with_faults(data, table_of(_run).unread())
    odds = unseen_odds(_run.parts(), _run.manifest.classes) if _run.trained else None
    vectors = embeddings(_run.parts(), MOST, unseen=True) if _run.trained else None
    evidence = Evidence(data, upright, rows if len(rows) else None, odds, vectors, _run.words)
    return [*refused, *findings.find(evidence)]


def _boxes(data: Dataset, options: MaskOptions, words: Words) -> tuple[pd.DataFrame | None, list[Finding]]:
    """The boxes of a run's audit, upright; where they cannot be used any more, a finding that says why."""
    from whalecam.explain import masks

    try:
        return masks.joined(data, masks.opened(options)).sources.boxes, []
    except DatasetError as error:
        why = f"Findings about the {words.subjects}' boxes are missing, and an audit with these boxes is refused."
        todo = "Mend the box files, or audit again without them or with other options of boxes, on the Model page."
        return None, [Finding("boxes_refused", "medium", str(error), why, todo)]


@st.cache_resource(max_entries=16, show_spinner=False)
def _dismissals(url: str, csv: str) -> Dismissals:
    return Dismissals(url, csv)


@st.cache_resource(max_entries=16, show_spinner=False)
def _journal(url: str, run: str) -> Journal:
    return Journal(url, run)


@st.cache_resource(max_entries=16, show_spinner=False)
def _corrections(url: str, run: str) -> Corrections:
    return Corrections(url, run)


def stamp_of(path: Path) -> int:
    """When a file was changed; 0 where there is none."""
    return path.stat().st_mtime_ns if path.exists() else 0


@st.cache_resource
def _arguments() -> argparse.Namespace:
    """What stands after `--` on Streamlit's command line."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--run", action="append", default=[])
    parser.add_argument("--csv")
    parser.add_argument("--images")
    return parser.parse_known_args(sys.argv[1:])[0]


def given_data() -> tuple[str, str]:
    """`--csv` and `--images` of the command line, empty where not given."""
    return _arguments().csv or "", _arguments().images or ""


def placement_of(run: Run) -> Placement | None:
    """How much of what the network decides by has a place in its maps; None before the audit."""
    parts = run.parts()
    return _placement(str(run.path), str(run.manifest.model_sha256), parts[0].stat().st_mtime_ns) if parts else None


@st.cache_data(max_entries=32, show_spinner=False)
def _placement(path: str, model: str, written: int) -> Placement | None:
    """Kept until the network or the first part changes."""
    return placement.placement_of(open_run(Path(path)))


@st.cache_data(max_entries=32, show_spinner=False)
def _class_order(confusion: pd.DataFrame, classes: tuple[str, ...]) -> ClassOrder | None:
    return proposed_order(confusion, classes)
