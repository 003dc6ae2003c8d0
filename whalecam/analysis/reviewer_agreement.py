"""Whether reviewers say the same, on which images they differ, and how often they flag where nothing is."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from whalecam.config import REVIEW_VERDICTS
from whalecam.store.table import wilson

FEW = 10
"""Images that two reviewers must share before their kappa says something."""


@dataclass(frozen=True)
class Agreement:
    """What several reviewers said of the same images; of each the latest verdict counts.

    Attributes:
        pairs: `reviewer other images agreed kappa`: agreed as a share; kappa NaN where both always said one same word.
        disagreements: `image flag keep unsure newest`: who said which, by name, and the latest verdict, which counts.
        shared: how many images two reviewers or more have judged.
    """

    pairs: pd.DataFrame
    disagreements: pd.DataFrame
    shared: int


def agreement(standing: pd.DataFrame) -> Agreement:
    """Hold reviewers' verdicts against each other.

    Args:
        standing: every verdict that is not undone, oldest first: `image verdict reviewer` (`Journal.standing`).
    """
    latest = standing.drop_duplicates(["image", "reviewer"], keep="last")
    wide = latest.pivot(index="image", columns="reviewer", values="verdict")
    rows = [_pair(wide, first, other) for first, other in combinations(sorted(wide.columns), 2)]
    pairs = pd.DataFrame(rows, columns=["reviewer", "other", "images", "agreed", "kappa"])
    several = wide[wide.notna().sum(axis=1) > 1]
    return Agreement(pairs[pairs["images"] > 0].reset_index(drop=True), _disagreements(latest, several), len(several))


def false_alarms(controls: pd.DataFrame) -> pd.DataFrame:
    """How often each reviewer flags what the audit does not suspect, when the scores are hidden.

    Args:
        controls: `image verdict reviewer` of the verdicts on blind controls, oldest first (`Journal.controls`).

    Returns: `reviewer controls flagged rate low high`: of each image the last verdict, `unsure` left out, with the
    95 % Wilson interval.
    """
    latest = controls.drop_duplicates(["image", "reviewer"], keep="last")
    latest = latest[latest["verdict"].isin(["flag", "keep"])]
    rows = []
    for reviewer, verdicts in latest.groupby("reviewer")["verdict"]:
        flagged = int((verdicts == "flag").sum())
        rows.append((reviewer, len(verdicts), flagged, *wilson(flagged, len(verdicts))))
    return pd.DataFrame(rows, columns=["reviewer", "controls", "flagged", "rate", "low", "high"])


def kappa(first: "pd.Series[str]", other: "pd.Series[str]") -> float:
    """Cohen's kappa (1960): agreement beyond that of chance, 1 where all agree; NaN where chance leaves no room."""
    observed = float((first == other).mean())
    shares = [(float((first == verdict).mean()), float((other == verdict).mean())) for verdict in REVIEW_VERDICTS]
    chance = sum(share * other_share for share, other_share in shares)
    return (observed - chance) / (1 - chance) if chance < 1 - 1e-12 else np.nan


def _pair(wide: pd.DataFrame, first: str, other: str) -> tuple[str, str, int, float, float]:
    both = wide[[first, other]].dropna()
    if both.empty:
        return first, other, 0, np.nan, np.nan
    agreed = float((both[first] == both[other]).mean())
    return first, other, len(both), agreed, kappa(both[first], both[other])


def _disagreements(latest: pd.DataFrame, several: pd.DataFrame) -> pd.DataFrame:
    differ = several.index[several.nunique(axis=1) > 1]
    some = latest[latest["image"].isin(differ)]
    newest = some.drop_duplicates("image", keep="last").set_index("image")["verdict"]
    names = some.groupby(["image", "verdict"])["reviewer"].agg(lambda who: ", ".join(sorted(who))).unstack()
    names = names.reindex(columns=list(REVIEW_VERDICTS)).fillna("")
    return names.assign(newest=newest).reset_index()
