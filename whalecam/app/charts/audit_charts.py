"""Plotly figures from small tables; no question to the data, no layout of a page."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from whalecam.analysis.reliability import Bin
from whalecam.assessment.meanings import TITLES
from whalecam.text import count, percent
from whalecam.words import Words

COLOURS = {
    "confirmed_leak": "#d70f35",
    "hidden_reliance": "#a11ff9",
    "background_reliance": "#dd61e5",
    "suspect": "#e57702",
    "cosmetic": "#f4db7f",
    "clean": "#28a873",
    "not_tested": "#68748c",
    "not_assessable": "#b8d2df",
}
"""At least 25 apart in CIE L*a*b*, for full colour vision and for protan, deutan and tritan eyes (Machado 2009); each
with a contrast of 3 or more on the grounds of the dark theme (WCAG 2.2, 1.4.11)."""
SHAPES = {
    "confirmed_leak": "diamond",
    "hidden_reliance": "square",
    "background_reliance": "star",
    "suspect": "triangle-up",
    "cosmetic": "triangle-down",
    "clean": "circle",
    "not_tested": "cross",
    "not_assessable": "x",
}
"""The second mark of an assessment, for those to whom colours say nothing: its symbol, in the words of Plotly."""
WORDS = TITLES
MAX_WRITTEN = 15
"""Classes of a confusion matrix whose cells have room for their numbers."""
MIDDLE = 0.179
"""Luminance at which black and white are equally legible (WCAG 2.2, contrast ratio)."""
DARK, LIGHT = "#111827", "#ffffff"
ON_DARK = {"confirmed_leak", "hidden_reliance", "not_tested"}
INK = {name: LIGHT if name in ON_DARK else DARK for name in COLOURS}
"""The colour of text on each of the colours: the one with a contrast of at least 4.5 (WCAG 2.2, 1.4.3)."""
NEVER, ALWAYS = (143, 184, 196), (11, 90, 112)
"""Ends of the scale of a confusion matrix: red, green, blue of a cell with almost none of its row, and with all."""
FEW, MANY = "#64748b", "#0b5a70"
"""Ends of a scale on which light text is legible everywhere, whatever the theme."""
PROPERTIES = {"color": "colour", "together": "colour, brightness and texture"}
"""Words for the properties of the background whose names do not say it."""
EDGE = {"width": 0.6, "color": "rgba(255, 255, 255, 0.6)"}
"""Around points, so that dark ones show on the dark theme."""
THRESHOLD_LINE = "#64748b"
NO_LEVELS: Mapping[str, float] = MappingProxyType({})
NO_TOOLS = {"displayModeBar": False}
"""For charts that are clicked or read: a tool bar would lie over them, and be nine stops on the way of a keyboard."""
MARGIN = {"l": 8, "r": 8, "t": 8, "b": 8}
SHARES = {"tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1], "ticktext": [percent(part / 5) for part in range(6)]}
"""An axis of shares."""
TOP = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
"""A legend above the chart."""


def figure(traces: Sequence[Mapping[str, object]], **layout: object) -> go.Figure:
    """A figure of traces, each with its `type`, in Plotly's own JSON, with narrow margins.

    Made in one step: whatever is added or changed afterwards makes Plotly check the whole figure again, which took most
    of the time of a page.
    """
    return go.Figure({"data": list(traces), "layout": {"margin": MARGIN, **layout}})


def line(axis: str, at: float, **style: object) -> dict[str, object]:
    """A line across the whole chart at one value of the `x` or `y` axis, for `shapes`."""
    along = "y" if axis == "x" else "x"
    ends = {f"{axis}0": at, f"{axis}1": at, f"{axis}ref": axis, f"{along}0": 0, f"{along}1": 1}
    return {"type": "line", **ends, f"{along}ref": f"{along} domain", "line": style}


def verdict_bar(verdicts: pd.DataFrame) -> go.Figure:
    """One stacked bar: `verdict`, `images`. Its legend is the page's: Plotly lays one over the bar on a phone."""
    known = [name for name in COLOURS if name in set(verdicts["assessment"])]
    total = int(verdicts["images"].sum())
    counts = {name: int(verdicts.loc[verdicts["assessment"] == name, "images"].sum()) for name in known}
    bars = [
        {
            "type": "bar",
            "x": [images],
            "y": [""],
            "orientation": "h",
            "name": WORDS[name],
            "marker": {"color": COLOURS[name]},
            "customdata": [name],
            "text": percent(images / total) if images / total > 0.05 else "",
            "textposition": "inside",
            "insidetextanchor": "middle",
            "insidetextfont": {"color": INK[name]},
            "textangle": 0,
            "hovertemplate": f"{WORDS[name]}: {images:,} of {total:,}<extra></extra>",
        }
        for name, images in counts.items()
    ]
    return figure(
        bars,
        barmode="stack",
        height=64,
        margin={**MARGIN, "t": 0},
        showlegend=False,
        xaxis={"visible": False, "range": [0, max(1, total)]},
        yaxis={"visible": False},
    )


def quadrants(cells: pd.DataFrame, words: Words) -> go.Figure:
    """The 2×2 of `correct` × `on_animal`, `images`, as a heat table with counts and shares."""
    counts = cells.set_index(["correct", "on_animal"])["images"]
    total = max(1, int(counts.sum()))
    grid = [[int(counts.get((right, looks), 0)) for looks in (True, False)] for right in (True, False)]
    columns = [f"looks at the {words.subject}", f"looks at the {words.background}"]
    rows = ["right", "wrong"]
    table = {
        "type": "heatmap",
        "z": grid,
        "x": columns,
        "y": rows,
        "colorscale": [[0, FEW], [1, MANY]],
        "showscale": False,
        "xgap": 3,
        "ygap": 3,
        "hoverinfo": "skip",
    }
    # The grey that the theme gives to the texts of charts is illegible on the dark cells.
    font = {"color": LIGHT, "size": 14}
    texts = [
        {"x": x, "y": y, "text": f"<b>{n:,}</b><br>{percent(n / total)}", "showarrow": False, "font": font}
        for y, line in zip(rows, grid, strict=True)
        for x, n in zip(columns, line, strict=True)
    ]
    axes = {"yaxis": {"autorange": "reversed", "showgrid": False}, "xaxis": {"side": "top", "showgrid": False}}
    chosen = [(right, looks) for right in (True, False) for looks in (True, False)]
    places = {(right, looks): (columns[not looks], rows[not right]) for right, looks in chosen}
    targets = {
        "type": "scatter",
        "x": [places[cell][0] for cell in chosen],
        "y": [places[cell][1] for cell in chosen],
        "mode": "markers",
        "marker": {"size": 60, "symbol": "square", "opacity": 0},
        "selected": {"marker": {"opacity": 0}},
        "unselected": {"marker": {"opacity": 0}},
        "customdata": [[*map(int, cell), int(counts.get(cell, 0))] for cell in chosen],
        "hovertemplate": "%{y}, %{x}: %{customdata[2]:,}<extra></extra>",
    }
    return figure([table, targets], height=230, annotations=texts, showlegend=False, hovermode="closest", **axes)


def reliability(bins: Sequence[Bin]) -> go.Figure:
    """A reliability diagram: the share that relies against the probability, with 95 % intervals and the diagonal."""
    diagonal = {"type": "line", "x0": 0, "y0": 0, "x1": 1, "y1": 1, "line": {"dash": "dot", "color": "#94a3b8"}}
    measured = {
        "type": "scatter",
        "x": [bin_.probability for bin_ in bins],
        "y": [bin_.share for bin_ in bins],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [bin_.high - bin_.share for bin_ in bins],
            "arrayminus": [bin_.share - bin_.low for bin_ in bins],
        },
        "customdata": [[percent(bin_.probability), percent(bin_.share), count(bin_.images)] for bin_ in bins],
        "mode": "lines+markers",
        "marker": {"color": COLOURS["clean"]},
        "line": {"color": COLOURS["clean"]},
        "hovertemplate": "probability %{customdata[0]}: %{customdata[1]} of %{customdata[2]} rely<extra></extra>",
    }
    return figure(
        [measured],
        height=300,
        shapes=[diagonal],
        xaxis={"title": {"text": "probability of reliance"}, "range": [0, 1], **SHARES},
        yaxis={"title": {"text": "share that relies"}, "range": [0, 1.02], **SHARES},
    )


TITLES = {
    "confirmed": "confirmed leaks among assessable images",
    "suspects": "suspects among assessable images",
}


def leaks_per_label(labels: pd.DataFrame) -> go.Figure:
    """Share of confirmed leaks (of suspects, where none was tested) with its 95 % interval; `Table.per_label`."""
    counted = "confirmed" if labels["measured"].sum() else "suspects"
    shown = labels[labels["assessable"] > 0].sort_values("share")
    dots = {
        "type": "scatter",
        "x": shown["share"],
        "y": shown["label"],
        "mode": "markers",
        "marker": {"size": 10, "color": COLOURS["suspect"]},
        "error_x": {
            "array": shown["high"] - shown["share"],
            "arrayminus": shown["share"] - shown["low"],
            "thickness": 1.5,
            "width": 4,
        },
        "customdata": shown[[counted, "assessable"]].assign(share=shown["share"].map(percent)),
        "hovertemplate": "%{y}: %{customdata[0]} of %{customdata[1]} (%{customdata[2]})<extra></extra>",
    }
    axis = {**SHARES, "range": [-0.02, 1.02], "title": {"text": TITLES[counted]}}
    return figure([dots], height=70 + 30 * len(shown), xaxis=axis)


def counts(values: pd.Series, title: str, log: bool = False) -> go.Figure:
    """A horizontal bar per name, largest on top; `values` are counts indexed by name."""
    shown = values.sort_values()
    bars = {
        "type": "bar",
        "x": shown.to_numpy(),
        "y": shown.index.astype(str),
        "orientation": "h",
        "marker": {"color": "#0e7490"},
        "text": [f"{n:,}" for n in shown],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{y}: %{x:,}<extra></extra>",
    }
    axis = {"type": "log" if log else "linear", "title": {"text": title}}
    return figure([bars], height=60 + 24 * max(2, len(shown)), margin={**MARGIN, "r": 60}, xaxis=axis)


def group_sizes(groups: Mapping[str, int], words: Words) -> go.Figure:
    """A bar for each number of images, also where no group has so many; `groups` counts by that number."""
    bars = {
        "type": "bar",
        "x": list(groups),
        "y": list(groups.values()),
        "marker": {"color": "#0e7490"},
        "hovertemplate": f"%{{x}} images: %{{y:,}} {words.groups}<extra></extra>",
    }
    axis = {"type": "category", "tickangle": 0, "title": {"text": f"images of the same {words.group}"}}
    return figure([bars], height=320, xaxis=axis, yaxis={"title": {"text": words.groups}})


EDGES = np.round(np.linspace(-1, 3, 41), 1)
"""Where the bars of a histogram of scores begin and end."""


def binned(values: pd.Series) -> NDArray[np.int64]:
    """How many values lie from one of EDGES to the next, those beyond the ends in the first and the last bar."""
    return np.histogram(values.dropna().clip(EDGES[0], EDGES[-1]), EDGES)[0]


def histogram(scores: pd.DataFrame, column: str, threshold: float | None = None) -> go.Figure:
    """Where a score lies, coloured by verdict, with the threshold as a line."""
    span = "%{customdata[0]:.1f} to %{customdata[1]:.1f}"
    bars = [
        {
            "type": "bar",
            "x": (EDGES[:-1] + EDGES[1:]) / 2,
            "y": binned(scores.loc[scores["assessment"] == name, column]),
            "name": WORDS[name],
            "marker": {"color": COLOURS[name]},
            "customdata": np.stack([EDGES[:-1], EDGES[1:]], axis=1),
            "hovertemplate": f"{WORDS[name]}, {span}: %{{y:,}}<extra></extra>",
        }
        for name in _present(scores)
    ]
    return figure(
        bars,
        barmode="stack",
        height=215,
        legend=_legend(),
        bargap=0.04,
        xaxis={
            "title": {"text": f"{column.replace('_', ' ')} (values beyond −1 and 3 stand at the edge)"},
            "range": _occupied(binned(scores[column])),
        },
        yaxis={"title": {"text": "images"}},
        shapes=[] if threshold is None else [line("x", threshold, dash="dot", width=2, color=THRESHOLD_LINE)],
    )


def _occupied(bars: NDArray[np.int64]) -> list[float]:
    """From the first to the last bar that holds an image, with a bar's width on both sides."""
    filled = np.flatnonzero(bars)
    first, last = (filled[0], filled[-1]) if len(filled) else (0, len(bars) - 1)
    return [float(EDGES[max(0, first - 1)]), float(EDGES[min(len(bars), last + 2)])]


def scatter(
    scores: pd.DataFrame, x: str, y: str, *, words: dict[str, str], levels: Mapping[str, float] = NO_LEVELS
) -> go.Figure:
    """A point per image that has both values, coloured by verdict, for a lasso; `customdata` carries its name."""
    placed = scores[scores[x].notna() & scores[y].notna()]
    parts = {name: placed[placed["assessment"] == name] for name in _present(placed)}
    dots = [
        {
            "type": "scattergl",
            "x": part[x],
            "y": part[y],
            "mode": "markers",
            "name": WORDS[name],
            "marker": {"color": COLOURS[name], "symbol": SHAPES[name], "size": 7, "opacity": 0.8, "line": EDGE},
            "customdata": part[["image"]],
            "hovertemplate": "%{customdata[0]}<br>%{x:.2f}, %{y:.2f}<extra></extra>",
        }
        for name, part in parts.items()
    ]
    return figure(
        dots,
        height=215,
        legend=_legend(),
        dragmode="lasso",
        xaxis={"title": {"text": words.get(x, x)}},
        yaxis={"title": {"text": words.get(y, y)}},
        shapes=[
            line(axis, levels[name], dash="dot", width=1.5, color=THRESHOLD_LINE)
            for axis, name in (("x", x), ("y", y))
            if name in levels
        ],
    )


def confusion(pairs: pd.DataFrame, classes: tuple[str, ...]) -> go.Figure:
    """Rows: labels; columns: predictions; colour: share of the row; `label`, `predicted`, `images`.

    A cell without images is left open, so that the theme's ground shows through it and what there is stands out.
    """
    grid = pairs.pivot_table(index="label", columns="predicted", values="images", fill_value=0)
    grid = grid.reindex(index=list(classes), columns=list(classes), fill_value=0)
    share = grid.div(grid.sum(axis=1).clip(lower=1), axis=0)
    table = {
        "type": "heatmap",
        "z": share.where(share > 0).to_numpy(),
        "x": list(classes),
        "y": list(classes),
        "colorscale": [[0, shade(0)], [1, shade(1)]],
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "hoverinfo": "skip",
    }
    return figure(
        [table, _cells(grid, share)],
        height=140 + 26 * max(4, len(classes)),
        annotations=_counts(grid, share) if len(classes) <= MAX_WRITTEN else [],
        yaxis={"autorange": "reversed", "showgrid": False, "title": {"text": "labelled"}},
        xaxis={"showgrid": False, "title": {"text": "predicted"}, "tickangle": -35},
        hovermode="closest",
        hoverdistance=-1,
        showlegend=False,
    )


def shade(share: float) -> str:
    """The ground of a cell with this share of its row, `#rrggbb`."""
    mixed = (round(low + share * (high - low)) for low, high in zip(NEVER, ALWAYS, strict=True))
    return f"#{bytes(mixed).hex()}"


def ink_on(ground: str) -> str:
    """Black or white, whichever is legible on a ground `#rrggbb`: one of the two has a contrast of at least 4.58."""
    parts = (part / 255 for part in bytes.fromhex(ground[1:]))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > MIDDLE else "#ffffff"


def _counts(grid: pd.DataFrame, share: pd.DataFrame) -> list[dict[str, object]]:
    """The number in each cell that has images, in the ink that is legible on it."""
    names = [(y, x) for y in grid.index for x in grid.columns]
    cells = zip(names, grid.to_numpy().ravel().tolist(), share.to_numpy().ravel().tolist(), strict=True)
    look = {"showarrow": False}
    return [
        {"x": x, "y": y, "text": count(images), "font": {"color": ink_on(shade(part))}, **look}
        for (y, x), images, part in cells
        if images
    ]


def _cells(grid: pd.DataFrame, share: pd.DataFrame) -> dict[str, object]:
    """A point that cannot be seen in each cell of a grid: Plotly selects points that are clicked, but no cells."""
    places = [(x, y) for y in grid.index for x in grid.columns]
    return {
        "type": "scatter",
        "x": [x for x, _ in places],
        "y": [y for _, y in places],
        "mode": "markers",
        "marker": {"size": 24, "symbol": "square", "opacity": 0},
        "selected": {"marker": {"opacity": 0}},
        "unselected": {"marker": {"opacity": 0}},
        "customdata": list(zip(grid.to_numpy().ravel().tolist(), map(percent, share.to_numpy().ravel()), strict=True)),
        "hovertemplate": "labelled %{y}, predicted %{x}: %{customdata[0]} (%{customdata[1]})<extra></extra>",
    }


def losses(reports: Sequence[Mapping[str, float]], steps: Sequence[int]) -> go.Figure:
    """Live training and validation loss; `train_loss` and `valid_loss` in nats.

    Args:
        steps: how many batches were trained on by each report.
    """
    lines = []
    for name, colour, mode in (("train_loss", "#0e7490", "lines"), ("valid_loss", "#d97706", "lines+markers")):
        points = [(at, values[name]) for at, values in zip(steps, reports, strict=True) if name in values]
        lines.append(
            {
                "type": "scatter",
                "x": [at for at, _ in points],
                "y": [value for _, value in points],
                "mode": mode,
                "name": name,
                "line": {"color": colour, "width": 2},
            }
        )
    axes = {
        "xaxis": {"title": {"text": "training steps"}},
        "yaxis": {"title": {"text": "cross-entropy (nats)"}},
    }
    return figure(lines, height=260, legend=_legend(), **axes)


def _legend() -> dict[str, object]:
    return {**TOP, "title": {"text": ""}, "traceorder": "normal"}


def _present(scores: pd.DataFrame) -> list[str]:
    """The verdicts that occur, in the order of the legend."""
    present = set(scores["assessment"].unique())
    return [name for name in COLOURS if name in present]
