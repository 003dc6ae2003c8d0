"""Plotly figures of a comparison."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from whalecam.compare import METRICS, Difference
from whalecam.compare.sentence import SAID
from whalecam.ui.charts import MARGIN

COLOURS = {"better": "#0e7490", "worse": "#b91c1c", "none": "#a8b4bc", "untested": "#cbd5e1"}
SHADES = ("#a8b4bc", "#0e7490", "#7c3aed", "#ca8a04", "#be185d")


def differences(found: Sequence[Difference]) -> go.Figure:
    """Every difference of shares with its 95 % interval in points; what is beyond chance is coloured."""
    shown = [one for one in found if METRICS[one.metric].share and METRICS[one.metric].better and one.told][::-1]
    figure = go.Figure()
    for side, word in SAID.items():
        these = [one for one in shown if one.verdict == side]
        figure.add_scatter(
            x=[one.difference * 100 for one in these],
            y=[METRICS[one.metric].words for one in these],
            mode="markers",
            name=word,
            marker={"size": 10, "color": COLOURS[side]},
            error_x={
                "array": [(one.high - one.difference) * 100 for one in these],
                "arrayminus": [(one.difference - one.low) * 100 for one in these],
                "thickness": 1.5,
                "width": 4,
            },
            hovertemplate="%{y}: %{x:+.1f} points<extra></extra>",
        )
    figure.add_vline(x=0, line_width=1, line_color="#64748b")
    figure.update_yaxes(categoryorder="array", categoryarray=[METRICS[one.metric].words for one in shown])
    figure.update_xaxes(title="difference, percentage points")
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    figure.update_layout(height=110 + 30 * len(shown), margin=MARGIN, legend=legend)
    return figure


def species(rows: pd.DataFrame, names: Sequence[str]) -> go.Figure:
    """Accuracy of each run on unseen pictures, one line of dots per species; see `Comparison.per_species`."""
    known = rows[rows["accuracy"].notna()]
    figure = go.Figure()
    order = sorted(known["species"].unique(), reverse=True)
    for place, name in enumerate(names):
        these = known[known["run"] == name]
        figure.add_scatter(
            x=these["accuracy"],
            y=these["species"],
            mode="markers",
            name=name,
            marker={"size": 11 if place else 13, "color": SHADES[place % len(SHADES)]},
            customdata=these[["images", "confirmed_leak"]],
            hovertemplate="%{y}: %{x:.0%} right; %{customdata[0]} pictures, %{customdata[1]:.0%} confirmed leaks"
            "<extra></extra>",
        )
    figure.update_yaxes(categoryorder="array", categoryarray=order)
    figure.update_xaxes(tickformat=".0%", range=[-0.03, 1.03])
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    figure.update_layout(height=110 + 30 * len(order), margin=MARGIN, legend=legend)
    return figure
