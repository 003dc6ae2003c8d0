"""Cues beyond the background's looks, on Patterns: the test starts here, and what it named stands with its images."""

from collections.abc import Sequence

import streamlit as st

from whalecam.analysis.cues import CueFinding, cue_sentence, cue_title
from whalecam.app.components.download import download
from whalecam.app.shell import jobs
from whalecam.app.shell.page_frame import errors_shown, plain
from whalecam.app.state import cues_cache
from whalecam.app.widgets.named_images import named_images, open_all_button
from whalecam.commands import Cues
from whalecam.config import CUES_PER_CLASS
from whalecam.output.csv.cue_list import write_cue_list
from whalecam.store.run import Run
from whalecam.store.table import Table
from whalecam.words import Words, capital

PER_CLASS = (20, CUES_PER_CLASS, 200)
PASSES, PASSES_PER_SECOND = 36, 40
"""Forward passes an image takes, about, and how many a usual machine makes, edits included."""
TESTING = "Cue test"


def cues(run: Run, table: Table) -> None:
    """The tab of the Patterns page: all findings with their images, a list to take along, and the start of the test."""
    images, classes = cues_cache.tested_of(run)
    earlier = cues_cache.earlier_of(run)
    left = set(table.confusion(unseen_only=False)["predicted"]) - classes | earlier
    if not images:
        _explain(run.words)
        _start(run, len(run.manifest.classes), was_tested=False, is_partial=bool(left))
        return
    findings = cues_cache.cues_of(run)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{images:,} images of {len(classes):,} predicted {run.words.labels} were tested.**")
        if findings:
            _download(run, findings)
    if not findings:
        _nothing(run.words, len(left))
    else:
        st.caption("Experimental: look at the images before you act on what is named.")
    if earlier:
        st.warning(_replaced(len(earlier), run.words), icon=":material/update:")
    for finding in findings:
        _finding(run, table, finding)
    with st.expander("How the test works, and testing again", expanded=bool(left) or not findings):
        _explain(run.words)
        _start(run, len(left) or len(run.manifest.classes), was_tested=True, is_partial=bool(left))


def _explain(words: Words) -> None:
    """What is changed, what the placebo is for, and how far the test can be trusted."""
    st.warning(
        "Experimental: how often this test names a cue where there is none has not been measured on enough sets. Look "
        "at the images before you act on what it names.",
        icon=":material/science:",
    )
    st.caption(
        "One property of the whole image takes the value of other images (exposure, white balance, place of the "
        f"{words.subject}, border), or the patch beside the {words.subject} that speaks most for the prediction is "
        "erased. What is lost cannot be given back, so images of other labels take the image's own sharpness, JPEG "
        f"quality, exposure and scale of the {words.subject}. "
        "A placebo shows what the editing itself costs: the value of an image of the same class, the same area erased "
        "elsewhere. An edit of the whole image changes its "
        f"{words.background} too: read white balance, exposure and sharpness beside the background test."
    )


def _nothing(words: Words, left: int) -> None:
    """No finding; `left`: how many predicted classes are still to be tested, so that nothing is settled yet."""
    if left:
        st.info(
            f"No cue beyond chance so far; {_predicted(left, words)} still to be tested.", icon=":material/pending:"
        )
    else:
        st.success(f"No {words.label} relies on such a cue beyond chance.", icon=":material/check_circle:")


def _replaced(earlier: int, words: Words) -> str:
    return (
        f"An earlier version of the test measured {_predicted(earlier, words)}. Today's could name other cues; "
        "*Go on testing* replaces what that version measured."
    )


def _predicted(classes: int, words: Words) -> str:
    return f"{classes:,} predicted {words.label if classes == 1 else words.labels}"


def _download(run: Run, findings: Sequence[CueFinding]) -> None:
    download(
        "Download the cue list",
        lambda: write_cue_list(findings, run),
        name=f"{run.name}-cues.csv",
        mime="text/csv",
        key="get_cues",
        icon=":material/download:",
    )


def _start(run: Run, classes: int, *, was_tested: bool, is_partial: bool) -> None:
    """Args: classes: to be tested; is_partial: whether some were not yet, so that the test goes on with these."""
    job = jobs.status(run.path)
    is_running = job is not None and job.state == "running"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        per_class = int(
            st.selectbox("Images of each class", PER_CLASS, index=1, key="cues_per_class", width=200) or CUES_PER_CLASS
        )
        label = "Test for cues" if not was_tested else "Go on testing" if is_partial else "Test again"
        if st.button(label, key="test_cues", type="primary", icon=":material/biotech:", disabled=is_running):
            with errors_shown():
                jobs.start(run.path, TESTING, Cues(run=str(run.path), per_class=per_class, restart=not is_partial))
                st.rerun()
    minutes = max(1, round(per_class * classes * PASSES / PASSES_PER_SECOND / 60))
    st.caption(f"About {minutes:,} min on two cores; it can be cancelled, and goes on with the classes that are left.")


def _finding(run: Run, table: Table, finding: CueFinding) -> None:
    with st.container(border=True):
        st.markdown(_heading(run, finding))
        key = _key(finding)
        named_images(run, table, finding.images, f"cue_{key}")
        open_all_button(finding.images, f"open_{key}")


def _heading(run: Run, finding: CueFinding) -> str:
    title = capital(cue_title(finding, run.words))
    return f"**{plain(f'{finding.predicted}: {title}')}** · {plain(cue_sentence(finding, run.words))}"


def _key(finding: CueFinding) -> str:
    return f"{finding.predicted}_{finding.cue}_{finding.place}".replace(" ", "_")
