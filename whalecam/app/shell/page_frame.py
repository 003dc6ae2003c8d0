"""What every page opens with: title, sidebar, the run, empty states, and errors as messages."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import streamlit as st

from whalecam.app.components.history import one_entry_per_page
from whalecam.app.shell import access, jobs, links, marks
from whalecam.app.shell.glossary import glossary_button
from whalecam.app.shell.reviewer_name import reviewer_name
from whalecam.app.state import fields, next_run, session
from whalecam.commands import Demo
from whalecam.config import SUSPECT_ASSESSMENTS, THRESHOLDS, Thresholds
from whalecam.errors import WhalecamError
from whalecam.storage_errors import unwritable
from whalecam.store.reviews import journal_caution
from whalecam.store.run import Run
from whalecam.store.table import Filters
from whalecam.words import Words

PREPARING = "Preparing the demo"
LOGO = Path(__file__).with_name("logo.svg").read_text(encoding="utf-8")
STYLE = Path(__file__).with_name("page.css")


@contextmanager
def errors_shown() -> Iterator[None]:
    """Turn our errors into a message on the page; whatever else goes wrong stays Streamlit's to show.

    A fragment opens with it too, and ends here where its visitor has signed out meanwhile.
    """
    if access.locked():
        st.stop()
    with _errors_written():
        yield


@contextmanager
def _errors_written() -> Iterator[None]:
    try:
        yield
    except WhalecamError as error:
        st.error(plain(str(error)), icon=":material/error:")
    except OSError as error:
        if not (words := unwritable(error)):
            raise
        st.error(plain(words), icon=":material/error:")


@contextmanager
def page(title: str, needs: str = "audit") -> Iterator[Run]:
    """Open a page: `with page("Leaks") as run:`. Stops with an empty state where the run is not far enough.

    Nothing of a run is touched before `access.gate`.

    Args:
        title: the page's name, shown in the browser's tab and as its heading.
        needs: how far the run must be: `data`, `model` or `audit`.
    """
    st.set_page_config(page_title=f"{title} · WhaleCAM", page_icon="🐋", layout="wide")
    st.logo(LOGO)
    st.html(STYLE)
    st.html(marks.STYLE)
    run = None
    with _errors_written():
        access.gate()
        run = _open(title, needs)
    if run is None:
        st.stop()
    with errors_shown():
        yield run


def _open(title: str, needs: str) -> Run:
    """The chosen run, far enough for the page; else an empty state, which ends the page."""
    with st.sidebar:
        one_entry_per_page()
    place = st.sidebar.container()
    links.present_names()
    run = _choose_run()
    carried = links.carried(run.name if run else None, session.preferred_run())
    for path, label, icon in links.PAGES:
        place.page_link(path, label=label, icon=icon, width="stretch", query_params=carried)
    if run is None or not _is_ready(run, needs):
        _first_start(run)
    st.title(title, anchor=False)
    session.hide_scores(frozenset())
    _job_line(run)
    if caution := journal_caution(run.reviews_url):
        st.warning(plain(caution), icon=":material/lan:")
    glossary_button(run.words)
    _require(run, needs)
    return run


def plain(text: str) -> str:
    """Text of a data set or an error, safe inside Streamlit's Markdown: every mark is shown as it is."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]()#+-.!|<>~$:" else c for c in text)


def _choose_run() -> Run | None:
    names = list(session.run_paths())
    if not names:
        return None
    with st.sidebar:
        next_run.apply(names)
        start = session.preferred_run()
        name = st.selectbox(
            "Run",
            names,
            index=names.index(start) if start in names else 0,
            key="run",
            bind="query-params",
            help="A run holds a data set, its network, its audit and everybody's verdicts.",
        )
        fields.unbind("run")
        reviewer_name()
    return session.open_named(name)


def threshold_sliders(run: Run) -> None:
    """How many false ones a list may hold, and the thresholds of single scores; assessments on every page follow."""
    with st.sidebar.expander("Thresholds", icon=":material/tune:"):
        st.slider(
            "False discovery rate, at most",
            0.01,
            0.25,
            Thresholds.false_rate,
            0.01,
            format="percent",
            key="false_rate",
            bind="query-params",
            help=f"Of the images listed as relying on the {run.words.background}, how many may be false on average.",
        )
        _single_thresholds(run.words)
    fields.unbind(*THRESHOLDS)
    if run.parts():
        with st.sidebar.container(horizontal=True, vertical_alignment="center"):
            _outcome_of_thresholds(run)


def _single_thresholds(words: Words) -> None:
    st.slider(
        "Attention threshold",
        0.0,
        2.0,
        Thresholds.attention,
        0.05,
        key="attention",
        bind="query-params",
        help=f"An image is a suspect from this attention score on. 0: a map shaped like the {words.subject}. 1: no "
        f"better than a flat map. Above 1: it prefers the {words.background}.",
    )
    st.slider(
        "Reliance threshold",
        0.0,
        1.0,
        Thresholds.reliance,
        0.05,
        key="reliance",
        bind="query-params",
        help=f"How far the probability of the prediction drops when one property of the {words.background} changes. It "
        "decides only in audits of earlier versions, which did not control the false discovery rate.",
    )


def _outcome_of_thresholds(run: Run) -> None:
    """How many suspects the thresholds make, and where one was moved, how many there were, and a way back to them."""
    level, defaults = session.thresholds(), Thresholds()
    suspects = _suspects(run, level)
    if level == defaults:
        st.caption(f"= {suspects:,} suspects")
        return
    st.caption(f"= {suspects:,} suspects; {_suspects(run, defaults):,} at the defaults")
    values = {name: getattr(defaults, name) for name in THRESHOLDS}
    st.button("Reset", key="reset_thresholds", type="tertiary", on_click=fields.set_values, kwargs=values)


def _suspects(run: Run, level: Thresholds) -> int:
    return session.table_of(run, level).count(Filters(assessments=SUSPECT_ASSESSMENTS))


def _require(run: Run, needs: str) -> None:
    """An empty state that says what to do next."""
    if needs in ("model", "audit") and not run.trained:
        st.info("This run has no trained network yet.", title="Train first", icon=":material/model_training:")
        st.page_link("pages/2_Model.py", label="Train or load a network", icon=":material/arrow_forward:")
        st.stop()
    if needs == "audit" and not run.parts():
        st.info("No image of this run has been audited yet.", title="Audit first", icon=":material/search:")
        st.page_link("pages/2_Model.py", label="Start the audit", icon=":material/arrow_forward:")
        st.stop()


def _job_line(run: Run) -> None:
    """A running or just finished job of this run, on every page."""
    job = jobs.status(run.path)
    if job is None:
        return
    if job.state == "running":
        _watch(str(run.path))
    elif job.state in ("failed", "cancelled"):
        line = st.error if job.state == "failed" else st.warning
        what = job.message if job.state == "failed" else "What it had finished stays as it is."
        line(plain(what or f"{job.title}: stopped before its end."), title=f"{job.title} {job.state}")
        st.button("Dismiss", key="job_dismiss", on_click=jobs.dismiss, args=(run.path,))


@st.fragment(run_every=1.0)
def _watch(folder: str, made: tuple[bool, bool] | None = None) -> None:
    """Progress with time left and cancel; the page refreshes itself when the job ends, or has made more than `made`."""
    path = Path(folder)
    job = jobs.status(path)
    if job is None or job.state != "running" or made not in (None, _made(path)):
        st.rerun()
        return
    note = jobs.time_left(job.seconds_left)
    with st.container(border=True):
        st.progress(job.share, text=f"**{plain(job.title)}** · {plain(job.progress)} · {note}")
        st.button("Cancel", key="job_cancel", icon=":material/stop_circle:", on_click=jobs.cancel, args=(path,))


def _made(folder: Path) -> tuple[bool, bool]:
    """Whether a run's images and its network are there."""
    run = session.open_named(folder.name) if folder.name in session.run_paths() else None
    return run is not None, run is not None and run.trained


def _is_ready(run: Run, needs: str) -> bool:
    """Whether a page may open: of a demo that is being prepared, those that need no audit may."""
    job = jobs.status(run.path)
    return needs == "data" or job is None or job.title != PREPARING or job.state != "running"


def _first_start(run: Run | None) -> NoReturn:
    """No run at all, or not enough of it: prepare the demo behind a progress view, then fill the page."""
    st.title("Welcome to WhaleCAM", anchor=False)
    folder = session.runs_folder() / session.DEMO
    job = jobs.status(folder)
    if job is None:
        folder_of_images = folder.parent / "demo-pictures"
        images = int(os.environ.get("WHALECAM_DEMO_IMAGES", str(Demo.images)))
        jobs.start(folder, PREPARING, Demo(folder=str(folder_of_images), images=images, run=str(folder)))
    if job is None or job.state == "running":
        st.markdown(
            "WhaleCAM is drawing a demo set of whales and dolphins, training a network on it and measuring "
            "*where it looks*. Two of the six species give themselves away by their water. You will see the audit "
            "find them. This happens once; the bar says how long each step will take."
        )
        _watch(str(folder), _made(folder))
        _ready_so_far(run)
    else:
        st.error(plain(job.message or "It was cancelled."), title="The demo is not ready", icon=":material/error:")
        st.button("Try again", type="primary", on_click=jobs.dismiss, args=(folder,))
    st.stop()


def _ready_so_far(run: Run | None) -> None:
    """Ways to what can be looked at while the rest is prepared."""
    if run is None:
        return
    st.page_link("pages/1_Dataset.py", label="Look at the images", icon=":material/photo_library:")
    if run.trained:
        st.page_link("pages/2_Model.py", label="Look at the network", icon=":material/model_training:")
