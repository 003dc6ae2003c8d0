"""Where the charts of a run place its images, for selections that a URL names."""

from collections.abc import Callable

import pandas as pd

from whalecam.store.run import Run
from whalecam.store.table import Table

LAYOUTS = ("pca", "umap")
SCORES = ("attention_score", "reliance_probability", "reliance", "loss")
ALL_ROWS = 2**31


def places_of(run: Run, table: Table) -> Callable[[str], pd.DataFrame]:
    """A function from axes, as `pca` or `attention_score~reliance`, to the columns `image`, `x`, `y`.

    It raises KeyError for axes of no chart, and where a layout has not been computed for this audit.
    """

    def places(axes: str) -> pd.DataFrame:
        if axes in LAYOUTS:
            return _laid_out(run, axes)
        x, _, y = axes.partition("~")
        if x not in SCORES or y not in SCORES:
            raise KeyError(axes)
        return table.scores(ALL_ROWS)[["image", x, y]].set_axis(["image", "x", "y"], axis=1)

    return places


def _laid_out(run: Run, axes: str) -> pd.DataFrame:
    from whalecam.analysis.patterns import places  # the pages that show no map need none of it
    from whalecam.app.state import patterns_cache

    rows, _ = patterns_cache.vectors_of(run)
    at = places.kept(run, rows) if axes == "umap" else patterns_cache.pca_of(run)
    if at is None:
        raise KeyError(axes)
    return pd.DataFrame({"image": rows["image"].to_numpy(), "x": at[:, 0], "y": at[:, 1]})
