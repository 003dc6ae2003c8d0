"""Comparisons that sessions share, and the making of one: with its progress and a way out where it takes long."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import streamlit as st

from whalecam.analysis.compare import Comparison, compare_runs
from whalecam.app.shell import jobs
from whalecam.app.state import session
from whalecam.arrays import Progress
from whalecam.store.run import Run

MAX_KEPT, MAX_IMAGES = 8, 2_000_000
"""Comparisons that are held, and the images that all of them may have together."""
PATIENCE = 0.5
"""Seconds after which somebody who waits is told how far it is."""
STOPPED = "_comparison_stopped"


class Place(Protocol):
    """Where a message of the page stands, one in place of the other: what `st.empty` returns."""

    def container(self) -> Any: ...
    def empty(self) -> Any: ...


def comparison(runs: Sequence[Run]) -> Comparison:
    """The comparison at this session's thresholds; made once for all sessions until a table or a journal changes.

    While it is made the page shows how far it is; whoever stops it is asked whether to begin again.
    """
    at = session.thresholds()
    key = (*(_state(run) for run in runs), at)
    comparisons = _comparisons()
    result = comparisons.get(key)
    if result is None:
        place = st.empty()
        _ask_again(place, key)
        comparisons.make_room()
        result = compare_runs(runs, at, _progress_shown(place, key), session.table_of)
        place.empty()
        comparisons.keep(key, result)
    return result


class Comparisons:
    """The latest comparisons, few enough of them to be held."""

    def __init__(self) -> None:
        self._kept, self._changing = OrderedDict[Any, Comparison](), threading.Lock()

    def get(self, key: Any) -> Comparison | None:
        """What was kept under `key`."""
        with self._changing:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: Any, comparison: Comparison) -> None:
        """Hold one more, and let go of those that were asked for longest ago."""
        with self._changing:
            self._kept[key] = comparison
            while len(self._kept) > 1 and (len(self._kept) > MAX_KEPT or self._images() > MAX_IMAGES):
                self._kept.popitem(last=False)

    def make_room(self) -> None:
        """Let go of what leaves no room for one more as large as the latest, before that one is made."""
        with self._changing:
            while self._kept and 2 * self._images() > MAX_IMAGES:
                self._kept.popitem(last=False)

    def _images(self) -> int:
        return sum(len(comparison.unseen) * len(comparison.names) for comparison in self._kept.values())


@st.cache_resource(show_spinner=False)
def _comparisons() -> Comparisons:
    return Comparisons()


def _state(run: Run) -> tuple[object, ...]:
    """What changes with a run's rows or verdicts."""
    return str(run.path), tuple(part.name for part in run.parts()), session.journal_of(run).version()


def _ask_again(place: Place, key: object) -> None:
    """Where this very comparison was stopped, leave it at that until somebody wants it."""
    if st.session_state.get(STOPPED) != key:
        return
    with place.container():
        st.info("The comparison was stopped.", icon=":material/stop_circle:")
        again = st.button("Compare", key="compare_again", icon=":material/compare_arrows:")
    if not again:
        st.stop()
    del st.session_state[STOPPED]
    place.empty()


def _progress_shown(place: Place, key: object) -> Callable[[Progress], None]:
    """A report that shows progress and a button; a click on it ends the run of the page at the next report."""
    start, bar, pace = time.monotonic(), None, jobs.Pace()

    def stop() -> None:
        st.session_state[STOPPED] = key

    def report(step: Progress) -> None:
        nonlocal bar
        left = pace.left_after(step)
        if time.monotonic() - start < PATIENCE:
            return
        if bar is None:
            with place.container():
                bar = st.progress(0.0)
                st.button("Stop", key="compare_stop", on_click=stop, icon=":material/stop_circle:")
        bar.progress(step.done / step.total, text=f"{step.stage.capitalize()} … · {left}")

    return report
