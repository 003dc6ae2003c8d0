"""What charts show, in words with the numbers: for those who do not see them."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from whalecam.analysis.reliability import Bin
from whalecam.assessment.meanings import TITLES
from whalecam.text import count, number, percent, percent_interval
from whalecam.words import Words

MAX_NAMED = 30
"""Bars, dots or cells that a text names; behind them it says how many are left."""


def verdict_bar(verdicts: pd.DataFrame) -> str:
    """The bar of `assessment`, `images`."""
    total = max(1, int(verdicts["images"].sum()))
    rows = zip(verdicts["assessment"], verdicts["images"], strict=True)
    return text_of("Images by assessment", (f"{TITLES[name]} {n:,} ({percent(n / total)})" for name, n in rows))


def quadrants(cells: pd.DataFrame, words: Words) -> str:
    """The 2 × 2 of `correct` × `on_animal`, `images`."""
    counts = cells.set_index(["correct", "on_animal"])["images"]
    names = {
        (right, looks): f"{'right' if right else 'wrong'}, looks at the {words.subject if looks else words.background}"
        for right in (True, False)
        for looks in (True, False)
    }
    return text_of("Images", (f"{name}: {int(counts.get(cell, 0)):,}" for cell, name in names.items()))


def leaks_per_label(labels: pd.DataFrame, words: Words) -> str:
    """The dots of `Table.per_label` with their intervals, the greatest share first."""
    shown = labels[labels["assessable"] > 0].sort_values("share", ascending=False)
    rows = shown[["label", "share", "low", "high", "assessable"]].itertuples(index=False)
    return text_of(
        f"Share of leaks per {words.label}",
        (f"{label} {percent_interval(share, low, high)} of {of:,}" for label, share, low, high, of in rows),
    )


def confusion(pairs: pd.DataFrame, words: Words) -> str:
    """The cells of `label`, `predicted`, `images`: first how many are right, then what is taken for what."""
    right = int(pairs.loc[pairs["label"] == pairs["predicted"], "images"].sum())
    wrong = pairs[pairs["label"] != pairs["predicted"]].sort_values("images", ascending=False)
    rows = wrong[["label", "predicted", "images"]].itertuples(index=False)
    cells = (f"{label} as {predicted} {n:,}" for label, predicted, n in rows if n)
    return text_of(
        f"{right:,} of {int(pairs['images'].sum()):,} images are right; {words.labels} taken for others", cells
    )


def counts(values: "pd.Series[int]", title: str) -> str:
    """Counts indexed by name, the largest first."""
    ordered = values.sort_values(ascending=False)
    return text_of(title, (f"{name} {n:,}" for name, n in ordered.items()))


def losses(reports: Sequence[Mapping[str, float]], steps: Sequence[int]) -> str:
    """The last training and validation loss of the curve, whose points stand at these training steps."""
    last = {name: values[name] for values in reports for name in ("train_loss", "valid_loss") if name in values}
    texts = (f"{name.replace('_', ' ')} {number(value, 3)}" for name, value in last.items())
    return text_of(f"Cross-entropy in nats after {count(max(steps, default=0))} training steps", texts)


def histogram(scores: pd.DataFrame, column: str) -> str:
    """Where a score lies: per assessment how many images have it, their median and their ends."""
    parts = _by_assessment(scores, (column,))
    texts = (
        f"{name} {len(part):,}, median {number(part[column].median())} ({number(part[column].min())} to "
        f"{number(part[column].max())})"
        for name, part in parts.items()
    )
    return text_of(f"{column.replace('_', ' ').capitalize()} by assessment", texts)


def scatter(scores: pd.DataFrame, x: str, y: str) -> str:
    """The middle of the points of each assessment."""
    names = [name.replace("_", " ") for name in (x, y)]
    texts = (
        f"{name} {len(part):,} at {number(part[x].median())}, {number(part[y].median())}"
        for name, part in _by_assessment(scores, (x, y)).items()
    )
    return text_of(f"{names[0].capitalize()} and {names[1]}, medians by assessment", texts)


def _by_assessment(scores: pd.DataFrame, columns: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The rows that have these scores, by the titles of their assessments."""
    placed = scores[scores[list(columns)].notna().all(axis=1)]
    return {TITLES[name]: part for name in TITLES if len(part := placed[placed["assessment"] == name])}


def embedding(groups: "pd.Series[str]", way: str) -> str:
    """What the points of an embedding are coloured by, the most frequent first."""
    return counts(groups.value_counts(), f"{len(groups):,} images by what the network saw in them, laid out by {way}")


def group_sizes(groups: Mapping[str, int], words: Words) -> str:
    """How many groups have how many images."""
    title = f"{words.groups[:1].upper()}{words.groups[1:]} by their number of images"
    return text_of(title, (f"{size}: {n:,}" for size, n in groups.items()))


def reliability(bins: Sequence[Bin]) -> str:
    """The points of a reliability diagram."""
    texts = (
        f"at a probability of {percent(bin_.probability)}, {percent_interval(bin_.share, bin_.low, bin_.high)} of "
        f"{bin_.images:,} rely"
        for bin_ in bins
    )
    return text_of("Share of images that rely on their background", texts)


def text_of(title: str, parts: Iterable[str]) -> str:
    """A title and what is under it; at most MAX_NAMED parts."""
    listed = list(parts)
    more = f"; and {len(listed) - MAX_NAMED:,} more" if len(listed) > MAX_NAMED else ""
    return f"{title}: {'; '.join(listed[:MAX_NAMED]) or 'none'}{more}."
