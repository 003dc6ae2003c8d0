"""A comparison in one plain sentence, and as a CSV of images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from whalecam.analysis.compare import LEVEL, METRICS, Comparison, Difference
from whalecam.data.csv_text import safe_csv
from whalecam.text import number, percent
from whalecam.words import Words

SIDES = (
    "label",
    "predicted",
    "loss",
    "attention_score",
    "reliance_probability",
    "reliance",
    "assessment",
    "swapped_accuracy",
)
WORDED = ("label", "predicted", "assessment")
IN_WORDS = {"better": "better", "worse": "worse", "none": "within chance", "untested": "not tested"}
"""`Difference.verdict` as people read it."""
MAIN = ("swapped_accuracy", "accuracy", "balanced_accuracy", "worst_label_accuracy", "loss", "confirmed_leak")


def sentence(comparison: Comparison, later: str) -> str:
    """What changed from the first run to a later one, and whether it is beyond chance."""
    by_metric = {difference.metric: difference for difference in comparison.differences[later]}
    better = [written(by_metric[name], comparison.words) for name in MAIN if by_metric[name].verdict == "better"]
    worse = [written(by_metric[name], comparison.words) for name in MAIN if by_metric[name].verdict == "worse"]
    first = comparison.names[0]
    parts = []
    if better:
        parts.append(f"{later} is better than {first} on {'; '.join(better)}.")
    if worse:
        parts.append(f"{later} is worse than {first} on {'; '.join(worse)}.")
    if not parts:
        parts.append(f"{later} and {first} do not differ beyond chance.")
    return " ".join([*parts, _accuracy(by_metric["accuracy"])])


def leaks_sentence(comparison: Comparison, later: str) -> str:
    """What became of the confirmed leaks, and of accuracy on swapped backgrounds; empty where neither is known.

    Two questions asked beforehand and of these two networks, so neither is corrected for the other figures.
    """
    swapped = next(
        difference for difference in comparison.differences[later] if difference.metric == "swapped_accuracy"
    )
    side = "better" if swapped.difference > 0 else "worse"
    outcome = side if swapped.p < LEVEL else "equal within chance"
    share = f"{amount(swapped.before, True)} → {amount(swapped.after, True)}"
    accuracy = f"Accuracy on swapped backgrounds is {outcome}: {share}." if swapped.p == swapped.p else ""
    return " ".join(part for part in (comparison.leaks[later].sentence, accuracy) if part)


def written(difference: Difference, words: Words) -> str:
    """One difference in words: `accuracy, 71.0 % → 83.0 %`."""
    metric = METRICS[difference.metric]
    return (
        f"{metric.named(words)} ({amount(difference.before, metric.share)} → {amount(difference.after, metric.share)})"
    )


def amount(value: float, share: bool, signed: bool = False) -> str:
    """A figure as people read it; a dash where there is none."""
    return percent(value, 1, signed) if share else number(value, 3, signed)


def _accuracy(difference: Difference) -> str:
    if difference.p != difference.p:
        return "Accuracy could not be compared: no shared image is new to both networks."
    chance = "beyond" if difference.beyond_chance else "not beyond"
    return (
        f"Accuracy on {difference.images:,} images that no network was trained on: {amount(difference.before, True)} → "
        f"{amount(difference.after, True)}; the difference is {chance} chance (McNemar p = {difference.p:.2g}; "
        f"{difference.corrected:.2g} after Holm's correction over all figures)."
    )


def changed_images(comparison: Comparison, later: str, images: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per shared image, or of `images`: `image`, `run` (the later one), `change`, `unseen`, and both runs'
    words."""
    before, after = comparison.rows[comparison.names[0]], comparison.rows[later]
    at = slice(None) if images is None else np.flatnonzero(before.index.isin(images))
    marks = comparison.marks[later]
    change = np.select([marks["got_better"][at], marks["got_worse"][at]], ["better", "worse"], "")
    sides = [rows.iloc[at][list(SIDES)].astype(dict.fromkeys(WORDED, "str")) for rows in (before, after)]
    frame = pd.DataFrame({"run": later, "change": change, "unseen": comparison.unseen[at]}, before.index[at])
    frame = frame.join([side.add_suffix(f"_{when}") for side, when in zip(sides, ("before", "after"), strict=True)])
    return frame.rename_axis("image").reset_index()


def write_csv(comparison: Comparison) -> bytes:
    """Every shared image of every later run; no cell is run as a formula."""
    return safe_csv(pd.concat([changed_images(comparison, name) for name in comparison.names[1:]], ignore_index=True))
