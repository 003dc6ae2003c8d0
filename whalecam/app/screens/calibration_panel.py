"""How far the automatic flag can be trusted, and whether reviewers agree: the Leaks page's last part."""

import numpy as np
import pandas as pd
import streamlit as st

from whalecam.analysis import calibration, reliability, reviewer_agreement
from whalecam.app.charts import alternatives, audit_charts
from whalecam.app.state import fields, session
from whalecam.app.widgets import review_controls
from whalecam.stats import Interval
from whalecam.store.run import Run
from whalecam.store.table import Table
from whalecam.text import PERCENT_COLUMN, number, percent, percent_range, short

LEVELS = {
    "attention_score": np.round(np.arange(0, 2.01, 0.05), 2).tolist(),
    "reliance": np.round(np.arange(0, 1.01, 0.05), 2).tolist(),
    "false_rate": np.round(np.arange(0.01, 0.26, 0.01), 2).tolist(),
}
"""The values of each threshold that may be suggested."""
COLUMN = {"false_rate": "q_value"}
"""What a threshold is about, where it is not the column of its own name."""
AT_MOST = ("false_rate",)
"""Thresholds that list what lies below them; all others list what lies above."""
WORDS = {"attention_score": "attention score", "reliance": "reliance", "false_rate": "q-value of reliance"}


def calibration_and_agreement(run: Run, table: Table) -> None:
    """Both, in an expander that is computed only while it is open."""
    with st.expander("Calibration and agreement", key="trust", on_change="rerun") as part:
        if part.open:
            if table.overview()["controlled"]:
                _planted()
            _calibration(table)
            _agreement(run)
            _false_alarms(run)


def _planted() -> None:
    """How far the probability of reliance is borne out where the truth is known."""
    planted = reliability.measured()
    st.markdown("**The probability of reliance, on planted leaks**")
    st.plotly_chart(
        audit_charts.reliability(planted.bins),
        key="reliability",
        config=audit_charts.NO_TOOLS,
        alt=alternatives.reliability(planted.bins),
    )
    st.caption(
        f"{planted.images:,} predictions of {planted.networks:,} networks on {planted.kinds} kinds of planted leak, "
        "each kind left out when its probabilities were fitted. An image relies where its prediction drops by more "
        "than 0.5 when its own background shows what those of the other class show. On the dotted line the "
        f"probability is exact; the expected calibration error is {number(planted.error, 3)}. It is measured over "
        "all kinds together: for the one kind of leak in a data set of yours, the error may be larger."
    )


def _calibration(table: Table) -> None:
    rows = table.all_rows()
    measured = [name for name in LEVELS if rows[COLUMN.get(name, name)].notna().any()]
    if "false_rate" in measured:
        measured = [name for name in measured if name != "reliance"]  # which decides nothing beside it
    if not measured:
        st.info("No image of this run has a score, so there is nothing to calibrate.")
        return
    score = str(
        st.segmented_control(
            "Calibrate the flag by",
            measured,
            default=measured[-1],
            key="trust_score",
            required=True,
            format_func=lambda name: WORDS[name],
        )
    )
    sign = -1 if score in AT_MOST else 1
    scores, leaks = sign * rows[COLUMN.get(score, score)].to_numpy(float), calibration.leaks_of(rows["review"])
    level = float(getattr(session.thresholds(), score))
    result = calibration.calibrate(scores, leaks, sign * level)
    best = calibration.suggested_threshold(scores, leaks, [sign * value for value in LEVELS[score]])
    best = None if best is None else sign * best
    side = f"{WORDS[score]} of {short(level)} or {'less' if score in AT_MOST else 'more'}"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _share("Precision", result.precision, f"Share of leaks among the images with {side}")
        _share("Recall", result.recall, f"Share of the leaks that have {side}")
        _share("Leak rate of the set", result.leak_rate, "Share of leaks among all images with this score")
        st.metric("Suggested threshold", short(best), help="The largest F1", border=True)
        st.button("Use it", disabled=best in (None, level), on_click=_use, args=(score, best), key="trust_use")
    for caution in result.cautions:
        st.info(caution, icon=":material/hourglass_empty:")
    st.caption(
        f"From {result.reviewed:,} of {result.images:,} images that people flagged or kept, taken for the truth; with "
        "95\u00a0% intervals. Each stratum of the score stands for its own images without a verdict, as if those "
        "with one had been drawn from it at random."
    )


def _agreement(run: Run) -> None:
    result = reviewer_agreement.agreement(session.journal_of(run).standing())
    if result.pairs.empty:
        st.caption("No image has verdicts of two people yet, so their agreement is not known.")
        return
    note = ", too few for a kappa to say much" if result.shared < reviewer_agreement.FEW else ""
    st.markdown(f"**{result.shared:,}** images have verdicts of several people{note}.")
    st.dataframe(
        result.pairs.assign(agreed=100 * result.pairs["agreed"]),
        hide_index=True,
        column_config={
            "agreed": st.column_config.NumberColumn(format=PERCENT_COLUMN),
            "kappa": st.column_config.NumberColumn(
                "Cohen's kappa", format="%.2f", help="1: always the same. 0: as often as chance"
            ),
        },
    )
    _disagreements(result.disagreements)


def _disagreements(differ: pd.DataFrame) -> None:
    if differ.empty:
        st.caption("They never disagreed.")
        return
    st.caption(f"{len(differ):,} images on which they disagree; the newest verdict counts. Select a row to look.")
    picked = st.dataframe(differ, hide_index=True, key="disagreements", on_select="rerun", selection_mode="single-row")
    chosen = picked["selection"]["rows"]
    if chosen:
        review_controls.open_image(str(differ["image"].iloc[chosen[0]]))


def _false_alarms(run: Run) -> None:
    rates = reviewer_agreement.false_alarms(session.journal_of(run).controls())
    if rates.empty:
        st.caption(
            "No blind control has a verdict yet; blind controls are switched on in the queue of the Heatmaps page."
        )
        return
    st.markdown("**False alarms**: how often reviewers flag blind controls, which the audit does not suspect.")
    shares = ["rate", "low", "high"]
    rates[shares] *= 100
    config = dict.fromkeys(shares, st.column_config.NumberColumn(format=PERCENT_COLUMN))
    st.dataframe(rates, hide_index=True, column_config=config)
    st.caption(
        "With the 95\u00a0% Wilson interval. Where the audit missed a leak, a flag on a control is no false alarm."
    )


def _share(label: str, estimate: Interval | None, hint: str) -> None:
    if estimate is None:
        st.metric(label, "–", help=hint, border=True)
        return
    between = percent_range(estimate.low, estimate.high)
    st.metric(label, percent(estimate.value), between, delta_color="off", delta_arrow="off", help=hint, border=True)


def _use(score: str, level: float) -> None:
    fields.set_values(**{score: level})
