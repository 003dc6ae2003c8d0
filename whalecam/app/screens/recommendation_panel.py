"""The Overview's advice: which remedy the evidence supports, with its figures, and the button that starts it."""

import contextlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from whalecam.analysis import recommendation
from whalecam.analysis.recommendation import PRESENT, Advice, Measured, Simulation, cell, columns_of, name_of
from whalecam.app.shell import jobs
from whalecam.app.shell.page_frame import errors_shown, plain
from whalecam.app.state import session
from whalecam.commands import to_argv
from whalecam.config import HEAD, PROJECT
from whalecam.errors import RunError
from whalecam.store.run import Run
from whalecam.store.table import Totals
from whalecam.words import Words, capital

LABELS = {
    "simulate": ("Simulate the remedies", "Simulation", ":material/experiment:"),
    "retrain": ("Train again with {remedy}", "Training with a remedy", ":material/healing:"),
}
"""By what is to be done: the button, the job's title, the icon."""
LAYER_LABELS = {
    HEAD: ("Fit the last layer again", "Fitting the last layer", ":material/healing:"),
    PROJECT: ("Remove the cue from the last layer", "Removing the cue", ":material/healing:"),
}
"""The same of each of LAYER_REMEDIES, which train nothing."""
MEANT = (
    "Held-out images, as they are and under each remedy. *Own {words.background}* shares the leak with the training "
    "images, so it rewards the leak. *Swapped backgrounds*: the same {words.subjects} on {words.backgrounds} of other "
    "labels, the figure that counts. *Last layer* and *cue removed* are measured with the very layer that the remedy "
    "would write; the others are estimates by changed images. In brackets 95\u00a0% intervals over {words.groups}."
)


def advice(run: Run, facts: Totals) -> None:
    """What to do about the leaks, in words, with the figures and a button."""
    supported, measured = recommendation.advise(run, facts, _others())
    with st.container(border=True):
        st.subheader("What to do about the leaks", anchor=False)
        st.markdown(f"**{plain(supported.sentence)}**")
        if supported.why:
            st.markdown("\n".join(f"- {plain(line)}" for line in supported.why))
        _start(run, supported)
        _open_comparisons(run, supported, measured)
        if simulated := recommendation.simulation_of(run):
            _table(simulated, run.words)


def _start(run: Run, advised: Advice) -> None:
    """The next step as a button, and as the command that it runs."""
    command = recommendation.step(run, advised)
    if advised.todo == "retrain" and command is None:
        st.caption(
            "This network was loaded, or trained on mended images, so it cannot be trained again from here: "
            "train from the untouched images with the option --remedy."
        )
    if advised.todo not in LABELS or command is None:
        return
    is_layer = advised.todo == "retrain" and advised.remedy in LAYER_LABELS
    label, title, icon = LAYER_LABELS[str(advised.remedy)] if is_layer else LABELS[advised.todo]
    if st.button(label.format(remedy=advised.remedy), key=f"mending_{advised.todo}", icon=icon, type="primary"):
        with errors_shown():
            jobs.start(run.path, title, command)
            st.rerun()
    if advised.todo == "retrain":
        verb = "Changes the last layer" if is_layer else "Trains"
        st.caption(f"{verb} and audits again with the options of this run, into a run of its own beside it.")
    with st.expander("The same from a terminal"):
        st.code(shlex.join(["python", "-m", "whalecam", *to_argv(command)]), language="sh", wrap_lines=True)


def _open_comparisons(run: Run, advised: Advice, measured: Sequence[Measured]) -> None:
    """A way to what each training with a remedy changed, and to what this run's own did."""
    pairs = [(run.name, change.run) for change in measured] + ([(advised.before, run.name)] if advised.before else [])
    for before, after in pairs:
        st.page_link(
            "pages/7_Compare.py",
            label=f"Compare {plain(before)} with {plain(after)}",
            icon=":material/compare_arrows:",
            query_params=[("compared", before), ("compared", after)],
        )


def _table(simulated: Simulation, words: Words) -> None:
    """What was simulated, over all images, and per label behind a fold."""
    metrics = simulated["figures"]
    with st.expander(f"What was simulated on {simulated['pictures']:,} images", icon=":material/experiment:"):
        st.caption(MEANT.format(words=words))
        overall = {name_of(name, words): remedy["all"] for name, remedy in metrics.items()}
        st.dataframe(_frame(overall, "Remedy", words))
        for name, why in simulated.get("impossible", {}).items():
            st.caption(f"Not simulated, {name_of(name, words)}: {plain(why)}")
        for name, remedy in metrics.items():
            if name != PRESENT:
                st.markdown(f"**{capital(name_of(name, words))}**, per {words.label}")
                st.dataframe(_frame(remedy["label"], capital(words.label), words))


def _frame(rows: Mapping[str, Mapping[str, Any]], about: str, words: Words) -> pd.DataFrame:
    """One row per name, each figure with its interval as text."""
    columns = columns_of(words)
    lines = [
        {about: name, "Images": row["n"], **{columns[key]: cell(row.get(key), key) for key in columns}}
        for name, row in rows.items()
    ]
    return pd.DataFrame(lines).set_index(about)


def _others() -> list[Run]:
    """Every run that can be opened; a broken one says so where it is chosen."""
    runs = []
    for name in session.run_paths():
        with contextlib.suppress(RunError):
            runs.append(session.open_named(name))
    return runs
