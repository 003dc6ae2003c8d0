"""The Overview: the sentence, the counts, what to do next, what the maps may claim."""

import html
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd
import streamlit as st

from whalecam.analysis.accounting import rows_sentence
from whalecam.analysis.placement import refusal_of
from whalecam.analysis.recommendation import leaks_summary, many_unassessed, unassessed_sentence
from whalecam.app.charts import alternatives, audit_charts
from whalecam.app.components.deferred_charts import charts_first
from whalecam.app.screens import findings_panel, recommendation_panel, reliance_panel
from whalecam.app.screens.report_button import report_button
from whalecam.app.shell import jobs, links
from whalecam.app.shell.marks import mark
from whalecam.app.shell.page_frame import errors_shown, page, plain, threshold_sliders
from whalecam.app.state import session
from whalecam.assessment.meanings import meaning
from whalecam.commands import Selftest
from whalecam.config import EXACTNESS
from whalecam.stats import Interval
from whalecam.store.json_file import read_json
from whalecam.store.run import Run
from whalecam.store.table import Table, Totals
from whalecam.store.training_metrics import TrainingMetrics
from whalecam.text import number, percent, percent_range, scientific
from whalecam.words import Words

QUIET: Mapping[str, Any] = MappingProxyType({"delta_color": "off", "delta_arrow": "off", "border": True})
"""A metric whose second line is what it is counted over, not a change."""


LOOKS = {
    True: ("hidden_reliance", "clean", "not_tested"),
    False: ("confirmed_leak", "suspect", "cosmetic"),
}
"""The assessments of images on which the network looks at the subject, and of those on which it does not."""


def show() -> None:
    """The whole page: whether to trust the network, what it leans on, on which images, and what to do now."""
    with page("Overview") as run:
        threshold_sliders(run)
        table = session.table_of(run)
        facts = table.overview()
        class_order(run, table.confusion())
        sentence(run, table, facts)
        st.header("Can I trust this network?", anchor=False)
        trust(run, table, facts)
        st.header("What does it rely on?", anchor=False)
        reliance_panel.note_uncontrolled(facts)
        charts_first()
        verdicts(table, run.words, has_maps=bool(facts["assessable"]))
        whole_model(table, facts, run.words)
        st.header("Which images?", anchor=False)
        which_images(run, table, facts)
        st.header("What now?", anchor=False)
        next_steps(run, facts, many_unassessed(facts, table.unassessed()))
        recommendation_panel.advice(run, facts)
        limits(run.words)
        selftest(run)


def which_images(run: Run, table: Table, facts: Totals) -> None:
    """Right or wrong against where the network looks, the leaks of each label, and what could not be assessed."""
    if facts["assessable"]:
        left, right = st.columns([2, 3], gap="medium")
        with left:
            right_or_wrong(run, table)
        with right:
            leaks_per_label(run, table)
    not_assessable(table)


def right_or_wrong(run: Run, table: Table) -> None:
    """The 2 × 2; a click on a cell opens its images."""
    st.subheader(f"Right or wrong, {run.words.subject} or {run.words.background}", anchor=False)
    cells = table.quadrants(session.thresholds().attention)
    picked = st.plotly_chart(
        audit_charts.quadrants(cells, run.words),
        key="quadrants",
        on_select="rerun",
        config=audit_charts.NO_TOOLS,
        alt=alternatives.quadrants(cells, run.words),
    )
    open_quadrant(picked)


def leaks_per_label(run: Run, table: Table) -> None:
    """The share of leaks of each label; a click on a dot opens its images."""
    st.subheader(f"Leaks per {run.words.label}", anchor=False)
    labels = table.per_label()
    picked = st.plotly_chart(
        audit_charts.leaks_per_label(labels),
        key="species_leaks",
        on_select="rerun",
        config=audit_charts.NO_TOOLS,
        alt=alternatives.leaks_per_label(labels, run.words),
    )
    open_species(picked, labels, run.words)


def sentence(run: Run, table: Table, facts: Totals) -> None:
    """What could not be assessed where that is much, the run in one sentence, and which species stand out."""
    if missing := unassessed_sentence(facts, table.unassessed(), run.words, _bold):
        st.warning(missing, icon=":material/visibility_off:")
    st.markdown(leaks_summary(facts, table.per_label(), run.words, _bold))


def _bold(text: str) -> str:
    return f"**{plain(text)}**"


def class_order(run: Run, confusion: pd.DataFrame) -> None:
    """A warning where the classes seem to be named in another order than the network's outputs."""
    if order := session.class_order_of(run, confusion):
        st.warning(plain(order.sentence), title="Check the order of the classes", icon=":material/swap_vert:")


def trust(run: Run, table: Table, facts: Totals) -> None:
    """Accuracy on held-out images with its interval, beside that of the background alone; what was counted."""
    accuracy, base = table.accuracy(), f"{facts['unseen']:,} held-out images"
    words = run.words
    with st.container(horizontal=True):
        _share("Accuracy", accuracy, f"On {base}; 95\u00a0% interval, images of one {words.group} counted together.")
        st.metric("Loss", number(facts["loss"]), f"on {base}", **QUIET, help="Cross-entropy in nats.")
        if facts["measured"]:
            st.metric(
                f"From the {words.background} alone",
                percent(facts["background_only_accuracy"]),
                f"most frequent {words.label}: {percent(table.majority())}",
                **QUIET,
                help=f"How often the label is named with the {words.subject} filled in, and how often naming always "
                f"the most frequent {words.label} would be right.",
            )
        counted = f"{facts['labels']:,} {words.labels}, {facts['groups']:,} {words.groups}"
        st.metric("Images", f"{facts['images']:,}", counted, **QUIET)
        suspects = f"{facts['suspects']:,} suspects"
        st.metric("Reviewed", f"{facts['reviewed']:,}", suspects, **QUIET)
        st.metric("Flagged", f"{facts['flagged']:,}", f"of {facts['reviewed']:,} reviewed", **QUIET)
    rows = rows_sentence(run.row_counts(), facts, table.unassessed())
    st.caption(f"{plain(rows)}. {plain(split_sentence(run.metrics(), words))}")
    exactness(run, facts)


def _share(label: str, share: Interval, hint: str) -> None:
    st.metric(label, percent(share.value, 1), percent_range(share.low, share.high), **QUIET, help=hint)


def split_sentence(metrics: TrainingMetrics, words: Words) -> str:
    """What stands between the held-out images and those that the network was trained on."""
    split, shared = metrics.get("split"), metrics.get("shared_individuals")
    if not split:
        return "What the network was trained on is not known here, so an accuracy may be of images that it has seen."
    if shared:
        return (
            f"Of the held-out images, {percent(shared)} share their {words.group} with an image in training, so the "
            "accuracy may be too good."
        )
    return f"No {words.group} of a held-out image is in training too."


def verdicts(table: Table, words: Words, *, has_maps: bool) -> None:
    """All verdicts in one bar, under a legend that breaks its lines where the screen is narrow."""
    counts = table.assessments()
    images = dict(zip(counts["assessment"], counts["images"], strict=True))
    st.html(legend(images, words, has_maps=has_maps))
    bar, alt = audit_charts.verdict_bar(counts), alternatives.verdict_bar(counts)
    st.plotly_chart(bar, key="verdicts", config=audit_charts.NO_TOOLS, alt=alt)


def legend(images: Mapping[str, int], words: Words, *, has_maps: bool = True) -> str:
    """HTML: mark, name and number of images of each verdict that occurs, in the order of the bar; hover: meaning."""
    entries = [
        f'<span style="white-space:nowrap;cursor:help" title="{html.escape(meaning(name, words, has_maps=has_maps))}">'
        f"{mark(name)} {audit_charts.WORDS[name]} · {images[name]:,}</span>"
        for name in audit_charts.COLOURS
        if name in images
    ]
    return f'<div style="display:flex;flex-wrap:wrap;gap:.2em 1.4em;font-size:.87em">{"".join(entries)}</div>'


def next_steps(run: Run, facts: Totals, unassessed: int) -> None:
    """What to do next, first things first, and the report for whoever was not here.

    Args:
        unassessed: how many images could be assessed with masks, where they are many.
    """
    left_open = facts["suspects"] and facts["reviewed"] < facts["suspects"]
    with st.container(border=True):
        st.markdown("**What to do next**")
        if facts["unreadable"]:
            st.page_link(
                "pages/1_Dataset.py",
                label=f"Look at {facts['unreadable']:,} images that cannot be read",
                icon=":material/broken_image:",
                query_params={"dataset_tab": "Findings", findings_panel.LINKED_FINDING: "unusable"},
            )
        if unassessed:
            st.page_link(
                "pages/2_Model.py",
                label=f"Give masks or boxes for the {unassessed:,} images that cannot be assessed",
                icon=":material/visibility_off:",
                query_params={"model_tab": "Audit"},
            )
        if left_open:
            label = f"Review the {facts['suspects']:,} suspects"
            st.page_link("pages/5_Leaks.py", label=label, icon=":material/flag:")
        if facts["reviewed"]:
            st.page_link("pages/6_Export.py", label="Export the signed list", icon=":material/download:")
        if not left_open:
            st.page_link("pages/3_Top_losses.py", label="Check the top losses for wrong labels", icon=":material/sort:")
        report_button(run)


def open_species(picked: Any, labels: pd.DataFrame, words: Words) -> None:
    """A click on a species opens its suspects; without any, a word and a way to all of its images."""
    points = picked["selection"]["points"]
    if not points:
        return
    label = str(points[0]["y"])
    if labels.loc[labels["label"] == label, "suspects"].sum():
        links.go("Leaks", leaks_label=[label])
    st.info(f"No image of {plain(label)} is a suspect.", icon=":material/check:")
    if st.button(f"Show all images of {plain(label)}", key="all_of_species", type="tertiary"):
        links.go("Top losses", losses_label=[label])


def open_quadrant(picked: Any) -> None:
    """A click on a cell of the 2 × 2 opens its images, the greatest loss first."""
    points = picked["selection"]["points"]
    if points:
        right, looks_at_subject = points[0]["customdata"][:2]
        names = LOOKS[bool(looks_at_subject)]
        titles = {"losses_assessment": [audit_charts.WORDS[name] for name in names]}
        links.go("Top losses", titles, losses_assessment=list(names), losses_right="right" if right else "wrong")


def exactness(run: Run, facts: Totals) -> None:
    """What the maps of this run may claim."""
    word = run.manifest.exactness
    text = EXACTNESS.get(word, word)
    network = (
        f"Network: {plain(str(run.manifest.network.get('arch', '')))}, at {run.manifest.network.get('size', '?')} px."
    )
    if word == "none":
        st.caption(" ".join(filter(None, (text, refusal_of(run), network))))
        return
    placement = session.placement_of(run)
    placed = f" {placement.sentence}" if placement and placement.is_partial else ""
    st.caption(
        f"Exactness of the maps: **{plain(word.replace('_', ' '))}**. {text} Largest completeness error over all "
        f"images and classes: {scientific(facts['completeness_error'])} logits. "
        f"{network}{placed}"
    )


def whole_model(table: Table, facts: Totals, words: Words) -> None:
    """What the changed backgrounds say of the network as a whole."""
    if not facts["measured"]:
        return
    st.caption(
        f"BG-gap {number(facts['bg_gap'], signed=True)}: how much more probable a prediction is on the "
        f"{words.background} of its own label than on that of others, on average over {facts['measured']:,} images."
    )


def limits(words: Words) -> None:
    """What an audit cannot tell."""
    with st.expander("What this audit cannot tell"):
        st.markdown(
            "It assesses this network on these images, with the masks it was given: where a mask is wrong, so is the "
            f"score. Whether a prediction *relies* on the {words.background} is measured by exchanging all of it with "
            f"that of other images in this set; a cue that all of them share cannot be seen, nor one on the "
            f"{words.subject} itself. Marks, image quality, exposure and scale have a test of their own: *Patterns*, "
            "*Cues*. A clean verdict means that no exchange mattered, not that the network knows the "
            f"{words.subject}. Colour, brightness and texture then say what of the {words.background} it is; what none "
            "of them carries is only seen in the images."
        )


def selftest(run: Run) -> None:
    """Does the detector find what was planted, on this install? Starts the self-test and shows its last result."""
    target = run.selftest
    with st.expander("Does the detector work on this install?"):
        st.caption(
            "Draws images whose background gives the label away (by colour, brightness, texture, horizon) and twins "
            "whose background does not, trains on both, audits both and compares with the truth. It takes about five "
            "minutes."
        )
        if st.button("Run the self-test", key="selftest", icon=":material/experiment:"):
            with errors_shown():
                jobs.start(run.path, "Self-test", Selftest(save=str(target)))
                st.rerun()
        if target.is_file():
            result = read_json(target)
            missed = len(result["failed"])
            outcome = f"{missed} of {len(result['checks'])} bounds missed" if missed else "every bound was kept"
            (st.error if missed else st.success)(f"{outcome} ({plain(str(result['when']))})")
            rows = pd.DataFrame(result["checks"].values())
            st.dataframe(rows[["passed", "name", "value", "bound", "says"]], hide_index=True)


def not_assessable(table: Table) -> None:
    """Why the attention of some images cannot be assessed."""
    reasons = table.reasons()
    if len(reasons):
        with st.expander(
            f"{int(reasons['images'].sum()):,} images on which it cannot be assessed where the network looks, and why"
        ):
            st.dataframe(reasons, hide_index=True)
