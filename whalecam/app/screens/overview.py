"""The Overview: the sentence, the counts, what to do next, what the maps may claim."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from whalecam.analysis.recommendation import leaks_summary
from whalecam.app.charts import audit_charts
from whalecam.app.components.deferred_charts import charts_first
from whalecam.app.screens import cues_panel, recommendation_panel, reliance_panel
from whalecam.app.shell import jobs, links
from whalecam.app.shell.page_frame import errors_shown, page, plain, threshold_sliders
from whalecam.app.state import session
from whalecam.commands import Selftest
from whalecam.config import EXACTNESS
from whalecam.store.run import Run, read_json
from whalecam.store.table import Table, Totals
from whalecam.text import number, percent, scientific
from whalecam.words import Words, capital


def show() -> None:
    """The whole page."""
    with page("Overview") as run:
        threshold_sliders(run)
        table = session.table_of(run)
        facts = table.overview()
        class_order(run, table.confusion())
        sentence(run, facts)
        show_metrics(run, facts)
        reliance_panel.note_uncontrolled(facts)
        cues_panel.first_cues(run)
        charts_first()
        verdicts(table)
        if facts["assessable"]:
            by_attention(run, table, facts)
        else:
            next_steps(run, facts)
        recommendation_panel.advice(run, facts)
        whole_model(table, facts, run.words)
        exactness(run, facts)
        not_assessable(table)
        limits(run.words)
        selftest(run)


def by_attention(run: Run, table: Table, facts: Totals) -> None:
    """Right or wrong against where the network looks, what to do next, and the leaks of each species."""
    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.subheader(f"Right or wrong, {run.words.subject} or {run.words.background}", anchor=False)
        cells = table.quadrants(session.thresholds().attention)
        st.plotly_chart(audit_charts.quadrants(cells, run.words), key="quadrants", alt="2 × 2")
        next_steps(run, facts)
    with right:
        st.subheader(f"Leaks per {run.words.label}", anchor=False)
        labels = table.per_label()
        picked = st.plotly_chart(
            audit_charts.leaks_per_label(labels),
            key="species_leaks",
            on_select="rerun",
            config=audit_charts.NO_TOOLS,
            alt=f"Leaks per {run.words.label}",
        )
        open_species(picked)


def sentence(run: Run, facts: Totals) -> None:
    """The run in one sentence, and which species stand out."""
    st.markdown(leaks_summary(facts, session.table_of(run).per_label(), run.words, lambda text: f"**{plain(text)}**"))


def class_order(run: Run, confusion: pd.DataFrame) -> None:
    """A warning where the classes seem to be named in another order than the network's outputs."""
    if order := session.class_order_of(run, confusion):
        st.warning(plain(order.sentence), title="Check the order of the classes", icon=":material/swap_vert:")


def show_metrics(run: Run, facts: Totals) -> None:
    """Counts, accuracy, loss and review progress."""
    unseen = f"on {facts['unseen']:,} images the network did not train on"
    with st.container(horizontal=True):
        st.metric("Images", f"{facts['images']:,}", border=True)
        st.metric(capital(run.words.labels), f"{facts['labels']:,}", border=True)
        st.metric(capital(run.words.groups), f"{facts['groups']:,}", border=True)
        st.metric("Unreadable", f"{facts['unreadable']:,}", border=True)
        st.metric("Accuracy", percent(facts["accuracy"], 1), help=unseen, border=True)
        st.metric("Loss", number(facts["loss"]), help=f"cross-entropy in nats, {unseen}", border=True)
        st.metric("Reviewed", f"{facts['reviewed']:,}", border=True)
        st.metric("Flagged", f"{facts['flagged']:,}", border=True)


def verdicts(table: Table) -> None:
    """All verdicts in one bar, under a legend that breaks its lines where the screen is narrow."""
    counts = table.assessments()
    st.html(legend(dict(zip(counts["assessment"], counts["images"], strict=True))))
    st.plotly_chart(audit_charts.verdict_bar(counts), key="verdicts", alt="Verdicts of the audit")


def legend(images: Mapping[str, int]) -> str:
    """HTML: the colour, the name and the number of images of each verdict that occurs, in the order of the bar."""
    entries = [
        f'<span style="white-space:nowrap"><span style="display:inline-block;width:.8em;height:.8em;'
        f'border-radius:2px;background:{colour}"></span> {audit_charts.WORDS[name]} · {images[name]:,}</span>'
        for name, colour in audit_charts.COLOURS.items()
        if name in images
    ]
    return f'<div style="display:flex;flex-wrap:wrap;gap:.2em 1.4em;font-size:.87em">{"".join(entries)}</div>'


def next_steps(run: Run, facts: Totals) -> None:
    """The one thing to do next."""
    open_suspects = facts["suspects"] and facts["reviewed"] < facts["suspects"]
    with st.container(border=True):
        st.markdown("**What to do next**")
        if facts["unreadable"]:
            st.page_link(
                "pages/1_Dataset.py",
                label=f"Look at {facts['unreadable']:,} images that cannot be read",
                icon=":material/broken_image:",
            )
        if open_suspects:
            st.page_link("pages/5_Leaks.py", label="Review the suspects", icon=":material/flag:")
        if facts["reviewed"]:
            st.page_link("pages/6_Export.py", label="Export the signed list", icon=":material/download:")
        if not open_suspects:
            st.page_link("pages/3_Top_losses.py", label="Check the top losses for wrong labels", icon=":material/sort:")


def open_species(picked: Any) -> None:
    """A click on a species opens its suspects."""
    points = picked["selection"]["points"]
    if points:
        links.go("Leaks", leaks_label=[str(points[0]["y"])])


def exactness(run: Run, facts: Totals) -> None:
    """What the maps of this run may claim."""
    word = run.manifest.exactness
    text = EXACTNESS.get(word, word)
    network = (
        f"Network: {plain(str(run.manifest.network.get('arch', '')))}, at {run.manifest.network.get('size', '?')} px."
    )
    if word == "none":
        st.caption(f"{text} {network}")
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
    majority = table.majority()
    st.caption(
        f"BG-gap {number(facts['bg_gap'], signed=True)}: how much more probable a prediction is on the "
        f"{words.background} "
        f"of its own label than on that of others, on average over {facts['measured']:,} images. From the "
        f"{words.background} alone, the {words.subject} filled in, the network still names the label in "
        f"{percent(facts['background_only_accuracy'])} of the "
        f"held-out images; naming always the most frequent {words.label} would be right in {percent(majority)}."
    )


def limits(words: Words) -> None:
    """What an audit cannot tell."""
    with st.expander("What this audit cannot tell"):
        st.markdown(
            "It judges this network on these images, with the masks it was given: where a mask is wrong, so is the "
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
