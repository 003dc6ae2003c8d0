"""What was simulated, as figures: per remedy, over all images and per species, with intervals."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.stats import Interval
from whalecam.text import DASH, percent_interval
from whalecam.words import Words

PRESENT = "present"
MEASURES = ("own", "unseen", "leak")
TIMES = 1000


def name_of(remedy: str, words: Words) -> str:
    """What people read at a row of a simulation."""
    names = {PRESENT: "as it is", "head": "last layer", "project": "cue removed"}
    return {**names, "neutral": f"neutral {words.background}"}.get(remedy, remedy)


def columns_of(words: Words) -> dict[str, str]:
    """The columns of a simulation that people read, in their order, by what `metrics_of` calls them."""
    return {
        "own": f"Own {words.background}",
        "unseen": "Swapped backgrounds",
        "unseen_gain": "Gain on swapped backgrounds",
        "leak": f"Evidence on {words.background}",
        "leak_drop": "Drop of it",
    }


class RemedyMetrics(TypedDict):
    """Metrics of the images under one remedy: of all, and by `label`.

    Each has `n` images, and an Interval, or its JSON, or None for each of the other names that `metrics_of` lists.
    """

    all: Mapping[str, Any]
    label: Mapping[str, Mapping[str, Any]]


Simulation = TypedDict(  # noqa: UP013 - keys of a file, some of which would be no good names here
    "Simulation",
    {
        "created": str,
        "source": str,
        "model_sha256": str,
        "pictures": int,
        "without_mask": int,
        "not_finite": NotRequired[int],
        "impossible": NotRequired[Mapping[str, str]],
        "cue": NotRequired[str],
        "waters": int,
        "figures": Mapping[str, RemedyMetrics],
        "own": Mapping[str, float | None],
        "unseen": Mapping[str, float | None],
        "groups": Mapping[str, int],
    },
)
"""What `simulation.json` holds.

`source` is the fingerprint of the data set; `pictures` is how many images were simulated, besides those `without_mask`
and those that gave `not_finite` logits; `impossible` says why a remedy could not be simulated; `cue` is what the remedy
`project` would remove; `waters`, how many backgrounds of other labels each met. `figures` are by remedy, `present`
being the network on images as they are. By image stand the share of right predictions of the present network on its
`own` background and on `unseen` ones, in [0, 1], and the number of its group.
"""


def metrics_of(rows: pd.DataFrame) -> dict[str, RemedyMetrics]:
    """Per remedy: `all`, and `species` by name; each figure is an Interval, or None where there is none.

    Args:
        rows: one per image and remedy (`present` is the image as it is): `image`, `species`, `group` (number of the
            individual), `remedy`, `own` (1 where right), `unseen` (share right on other labels' waters), `leak`; the
            three in [0, 1], NaN where not measured.

    Returns: `n`; the levels `own`, `unseen`, `leak`; for `present` also `water_cost` = own − unseen; for a remedy also
    `own_gain`, `unseen_gain` and `leak_drop` against the same images as they are.
    """
    wide = rows.pivot(index="image", columns="remedy", values=list(MEASURES)).astype(float)
    about = rows.drop_duplicates("image").set_index("image").loc[wide.index, ["label", "group"]]
    metrics: dict[str, RemedyMetrics] = {}
    for remedy in rows["remedy"].unique():
        columns = _columns(wide, str(remedy))
        parts = {str(name): columns.loc[part.index] for name, part in about.groupby("label")}
        metrics[str(remedy)] = {
            "all": _intervals(columns, about["group"]),
            "label": {name: _intervals(part, about["group"].loc[part.index]) for name, part in parts.items()},
        }
    return metrics


def cell(figure: Sequence[float] | None, key: str) -> str:
    """A figure of `columns_of`, an Interval or its JSON, with its ends, in percent; differences carry their sign."""
    if figure is None:
        return DASH
    return percent_interval(*Interval(*figure), signed=key in ("unseen_gain", "leak_drop"))


def interval(values: NDArray[np.float64], groups: Sequence[int], times: int = TIMES) -> Interval | None:
    """The mean with its 95 % percentile bootstrap (Efron 1979) over groups, as images of one individual are alike.

    A difference of the same images as `values` makes it a paired one. The same in every call. None without a value;
    with a single group the interval is all that a mean of such values can be, [-1, 1].
    """
    known = ~np.isnan(values)
    if not known.any():
        return None
    _, of = np.unique(np.asarray(groups)[known], return_inverse=True)
    sums, counts = np.bincount(of, values[known]), np.bincount(of)
    mean = float(values[known].mean())
    if len(counts) < 2:
        return Interval(mean, -1.0, 1.0)
    drawn = np.random.default_rng(0).integers(len(counts), size=(times, len(counts)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), (0.025, 0.975))
    return Interval(mean, float(low), float(high))


def _columns(wide: pd.DataFrame, remedy: str) -> pd.DataFrame:
    """The levels of one remedy and its differences to the present, per image."""
    level = {name: wide[name, remedy] for name in MEASURES}
    if remedy == PRESENT:
        return pd.DataFrame({**level, "water_cost": level["own"] - level["unseen"]})
    before = {name: wide[name, PRESENT] for name in MEASURES}
    gains = {f"{name}_gain": level[name] - before[name] for name in ("own", "unseen")}
    return pd.DataFrame({**level, **gains, "leak_drop": before["leak"] - level["leak"]})


def _intervals(columns: pd.DataFrame, groups: "pd.Series[int]") -> Mapping[str, Any]:
    numbers = groups.tolist()
    return {
        "n": int(columns["own"].notna().sum()),
        **{str(name): interval(columns[name].to_numpy(float), numbers) for name in columns},
    }
