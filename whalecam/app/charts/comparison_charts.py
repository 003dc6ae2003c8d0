"""Plotly figures of a comparison."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from whalecam.analysis.compare import METRICS, Difference
from whalecam.analysis.compare.sentence import IN_WORDS
from whalecam.app.charts.alternatives import text_of
from whalecam.app.charts.audit_charts import SHARES, TOP, figure, line
from whalecam.text import percent, points_interval
from whalecam.words import Words

COLOURS = {"better": "#0e7490", "worse": "#b91c1c", "none": "#a8b4bc", "untested": "#cbd5e1"}
SHADES = ("#a8b4bc", "#0e7490", "#7c3aed", "#ca8a04", "#be185d")


def differences(results: Sequence[Difference], words: Words) -> go.Figure:
    """Every difference of shares with its 95 % interval in points; what is beyond chance is coloured."""
    shown = [
        result
        for result in results
        if METRICS[result.metric].share and METRICS[result.metric].better and result.is_shown
    ][::-1]
    sides = {side: [result for result in shown if result.verdict == side] for side in IN_WORDS}
    dots = [
        {
            "type": "scatter",
            "x": [result.difference * 100 for result in these],
            "y": [METRICS[result.metric].named(words) for result in these],
            "mode": "markers",
            "name": IN_WORDS[side],
            "marker": {"size": 10, "color": COLOURS[side]},
            "error_x": {
                "array": [(result.high - result.difference) * 100 for result in these],
                "arrayminus": [(result.difference - result.low) * 100 for result in these],
                "thickness": 1.5,
                "width": 4,
            },
            "hovertemplate": "%{y}: %{x:+.1f} points<extra></extra>",
        }
        for side, these in sides.items()
    ]
    return figure(
        dots,
        height=110 + 30 * len(shown),
        legend=TOP,
        yaxis={"categoryorder": "array", "categoryarray": [METRICS[result.metric].named(words) for result in shown]},
        xaxis={"title": {"text": "difference, percentage points"}},
        shapes=[line("x", 0, width=1, color="#64748b")],
    )


def accuracy_per_label(rows: pd.DataFrame, names: Sequence[str]) -> go.Figure:
    """Accuracy of each run on unseen images, one line of dots per label; see `Comparison.per_label`."""
    known = rows[rows["accuracy"].notna()]
    order = sorted(known["label"].unique(), reverse=True)
    parts = [known[known["run"] == name] for name in names]
    dots = [
        {
            "type": "scatter",
            "x": these["accuracy"],
            "y": these["label"],
            "mode": "markers",
            "name": name,
            "marker": {"size": 11 if place else 13, "color": SHADES[place % len(SHADES)]},
            "customdata": these[["images"]].assign(
                right=these["accuracy"].map(percent), leaks=these["confirmed_leak"].map(percent)
            ),
            "hovertemplate": "%{y}: %{customdata[1]} right; %{customdata[0]} images, %{customdata[2]} confirmed leaks"
            "<extra></extra>",
        }
        for place, (name, these) in enumerate(zip(names, parts, strict=True))
    ]
    return figure(
        dots,
        height=110 + 30 * len(order),
        legend=TOP,
        yaxis={"categoryorder": "array", "categoryarray": order},
        xaxis={**SHARES, "range": [-0.03, 1.03]},
    )


def differences_text(results: Sequence[Difference], words: Words) -> str:
    """The differences of shares with their intervals, and whether they are beyond chance."""
    shown = [result for result in results if METRICS[result.metric].share and result.is_shown]
    texts = (
        f"{METRICS[result.metric].named(words)} "
        f"{points_interval(result.difference, result.low, result.high)}, {IN_WORDS[result.verdict]}"
        for result in shown
    )
    return text_of("Differences", texts)


def accuracy_text(rows: pd.DataFrame, words: Words) -> str:
    """Accuracy of each run, by label; `Comparison.per_label`."""
    known = rows[rows["accuracy"].notna()]
    parts = (
        f"{label}: "
        + ", ".join(f"{run} {percent(share)}" for run, share in zip(these["run"], these["accuracy"], strict=True))
        for label, these in known.groupby("label")
    )
    return text_of(f"Accuracy per {words.label}", parts)
