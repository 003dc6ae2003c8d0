"""The Leaks page's own pieces: the summary, the lasso, the table of labels."""

import functools

import pandas as pd
import streamlit as st

from whalecam.app.charts import alternatives, audit_charts
from whalecam.app.components.deferred_charts import charts_first
from whalecam.app.screens import heatmaps
from whalecam.app.shell.page_frame import errors_shown
from whalecam.app.state import fields, session
from whalecam.app.widgets import chart_selection
from whalecam.app.widgets.row_choice import choosing_table, filter_by
from whalecam.config import SUSPECT_ASSESSMENTS, Thresholds
from whalecam.store.run import Run
from whalecam.store.table import Filters, Table, Totals
from whalecam.text import PERCENT_COLUMN, percent, short
from whalecam.words import Words

RELIANCE = ("reliance_probability", "reliance")
"""How much an image relies on its background, the first that was measured."""


def show_me(run: Run, table: Table, image: str) -> None:
    """What happened to one image when its background was changed."""
    heatmaps.show_me(run, table.row(image))


@st.fragment(run_every=2.0)
def summary(run: Run) -> None:
    """How many suspects at the present thresholds, and how far the review has come, whoever reviews."""
    with errors_shown():
        _summary(run, session.table_of(run))


def _summary(run: Run, table: Table) -> None:
    words, facts = run.words, table.overview()
    suspects = table.count(Filters(assessments=SUSPECT_ASSESSMENTS))
    done = suspects - table.count(Filters(assessments=SUSPECT_ASSESSMENTS, review="unreviewed"))
    level = session.thresholds()
    with st.container(horizontal=True, key="leaks_figures"):
        if facts["measured"]:
            relies = _relies(facts["controlled"], level, words.background)
            looks = f"an attention score of {short(level.attention)} or more: it looks at the {words.background} too"
            if facts["assessable"]:
                st.metric("Confirmed leaks", f"{facts['confirmed']:,}", help=f"{relies}, and {looks}")
                without = f"{relies}, without heat on the {words.background}"
                st.metric("Hidden reliance", f"{facts['hidden']:,}", help=without)
            if facts["background"] or not facts["assessable"]:
                hint = f"{relies}; where the network looks cannot be assessed"
                st.metric("Background reliance", f"{facts['background']:,}", help=hint)
        else:
            st.metric("Suspects", f"{suspects:,}", help=f"Attention score of {short(level.attention)} or more")
        hint = "Images on which it can be assessed where the network looks"
        if facts["assessable"]:
            st.metric("Assessable", f"{facts['assessable']:,} of {facts['images']:,}", help=hint)
        st.metric("Flagged", f"{facts['flagged']:,}")
        st.metric("Reviewed", f"{done:,} of {suspects:,}")
        with st.popover("What is a leak?", icon=":material/help:", type="tertiary"):
            st.markdown(_meaning(run, facts))


def _meaning(run: Run, facts: Totals) -> str:
    """What the numbers above the cards mean, and what they do not."""
    words = run.words
    if not facts["measured"]:
        return (
            f"Heat on the {words.background} is a suspicion, not a proof: alone it cannot tell a leaking model from a "
            "sound one. Audit with the background test, or look at each suspect; then sign a verdict."
        )
    relies = (
        f"*Relies*: the prediction drops when the {words.subject} is put on the {words.background} of other labels."
    )
    if facts["assessable"]:
        looks = f"*Looks*: the evidence lies on the {words.background}."
        return f"{looks} {relies} Both together confirm a leak; then a person signs."
    why = "cannot be assessed on any image" if run.has_maps else "was not measured, because this audit has no maps"
    return (
        f"{relies} Where the network looks {why}, so an image that relies on its {words.background} is neither a "
        "confirmed leak nor a hidden one: it counts as background reliance."
    )


def _relies(controlled: int, level: Thresholds, background: str) -> str:
    """What counts as reliance at the present thresholds."""
    if controlled:
        share = f"at most {percent(level.false_rate)} false on average"
        return f"Relies on the {background} (of all that are listed so, {share})"
    return f"A drop of {short(level.reliance)} or more when the {background} changes"


def charts_switch() -> None:
    """Whether the charts stand above the cards."""
    hint = "Attention, and attention against reliance; draw a lasso or a box there to narrow the images."
    st.toggle("Charts", key="leaks_charts", bind="query-params", help=hint)


def charts(table: Table, words: Words) -> None:
    """How attention is distributed, and attention against reliance, while they are asked for and were measured."""
    if not fields.value("leaks_charts"):
        return
    charts_first()
    scores = table.scores()
    if scores["attention_score"].isna().all():
        return
    left, right = st.columns(2, gap="medium")
    over = int((scores["attention_score"] >= session.thresholds().attention).sum())
    with left:
        level = short(session.thresholds().attention)
        st.markdown(f"**{over:,} of {len(scores):,} images have an attention score of {level} or more**")
        st.plotly_chart(
            audit_charts.histogram(scores, "attention_score", session.thresholds().attention),
            key="attention_bins",
            alt=alternatives.histogram(scores, "attention_score"),
        )
    with right:
        lasso(scores, words)


def lasso(scores: pd.DataFrame, words: Words) -> None:
    """Looks against reliance, or against loss where that was not measured; a selection narrows the gallery."""
    y = next((name for name in RELIANCE if scores[name].notna().any()), "loss")
    titles = {
        "attention_score": f"attention score (0: the {words.subject}'s shape, 1: a flat map)",
        "loss": "loss (nats)",
        "reliance": "reliance (drop in probability)",
        "reliance_probability": "probability of reliance",
    }
    counts = scores["assessment"].value_counts()
    both, hidden = (int(counts.get(name, 0)) for name in ("confirmed_leak", "hidden_reliance"))
    finding = f"{both:,} look at the {words.background} and rely on it, {hidden:,} rely on it without looking"
    st.markdown(f"**{finding if y != 'loss' else 'Attention and loss'}** · draw around points to see them")
    st.plotly_chart(
        audit_charts.scatter(scores, "attention_score", y, words=titles, levels=_levels(scores)),
        key="lasso",
        on_select=functools.partial(chart_selection.note, "lasso", "leaks_region", f"attention_score~{y}"),
        selection_mode=("lasso", "box", "points"),
        alt=alternatives.scatter(scores, "attention_score", y),
    )


def _levels(scores: pd.DataFrame) -> dict[str, float]:
    """Where scores become verdicts; of the probability of reliance, the smallest that is listed."""
    level = session.thresholds()
    listed = scores["reliance_probability"][scores["q_value"] <= level.false_rate]
    return vars(level) | ({"reliance_probability": float(listed.min())} if len(listed) else {})


def species_table(table: Table, words: Words) -> None:
    """Per label: accuracy, suspects with interval, flags; sent to the browser only while the expander is open."""
    shares = ["accuracy", "share", "low", "high"]
    percents = dict.fromkeys(shares, st.column_config.NumberColumn(format=PERCENT_COLUMN))
    scores = {
        name: st.column_config.NumberColumn(name.replace("_", " "), format="%.2f")
        for name in ("median_attention_score", "median_reliance", "bg_gap")
    }
    with st.expander(f"Per {words.label}", key="leaks_per_label", on_change="rerun") as part:
        if part.open:
            rows = table.per_label()
            rows[shares] *= 100
            chosen = functools.partial(filter_by, "leaks_label", tuple(rows["label"]))
            choosing_table(rows, "leaks_labels", chosen, look=percents | scores)
            st.caption(f"A click before a row shows the images of its {words.label} above.")
