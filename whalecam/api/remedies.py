"""From a leak to a better network: simulate remedies, train again with one, lay the images out on a plane."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from whalecam.analysis.patterns import places
from whalecam.analysis.recommendation import Simulation
from whalecam.api.options import PathLike
from whalecam.api.runs import Run, open_run
from whalecam.arrays import Report, silent
from whalecam.config import BACKGROUND, SIMULATION_LIMIT
from whalecam.store.run import Run as StoredRun


def simulate(
    run: StoredRun,
    remedies: Sequence[str] | None = None,
    *,
    limit: int = SIMULATION_LIMIT,
    cue: str = BACKGROUND,
    report: Report = silent,
) -> Simulation:
    """What remedies would do before any training: the present network on changed images, or with another last layer.

    Args:
        remedies: out of `head`, `project`, `crop`, `neutral`; None: all of them.
        limit: held-out images, at most, drawn at random.
        cue: what `project` removes: `background`, `flagged`, `leaks`, or the path of a file that lists images.

    Returns: what is kept in the run folder too: for `present` and each remedy, `figures[name]["all"]` with the accuracy
    on the images' own backgrounds (`own`) and on those of other labels (`unseen`, which counts), shares in [0, 1] with
    their 95 % intervals, and differences between them; `impossible`: why a remedy could not be simulated. Raises
    RunError for an untrained run and where no held-out image has a mask, ModelError for a network without maps.
    """
    from whalecam.remedies import simulation  # fastai and scikit-learn, which `import whalecam` must not cost

    return simulation.simulate(run, remedies, limit, report=report, cue=cue)


def retrain(
    run: StoredRun,
    remedy: str,
    path: PathLike,
    *,
    cue: str = BACKGROUND,
    seed: int | None = None,
    fallback: str | None = None,
    region: str | None = None,
    weight: float | None = None,
    report: Report = silent,
) -> Run:
    """Train and audit again with a remedy, all else as in `run`, into the new run folder `path`.

    Args:
        remedy: `none`, `crop`, `neutral`, `shuffle`, `restrict`, `head` or `project`; or a training and a change of the
            last layer, as in `shuffle+head`.
        cue: as in `simulate`.
        seed: None: that of the run; another one makes a twin.
        fallback: as in `TrainOptions`.
        region, weight: as in `TrainOptions`, of `restrict` alone; None: as in the run where it was restricted too, else
            the default.

    Returns: the new run, audited; `compare(run, it)` shows what changed. Raises DatasetError for another remedy and for
    options that it would not use, RunError where there is a run in `path` and for one that cannot be trained again,
    ModelError where pretrained weights cannot be had.
    """
    from whalecam.remedies import retraining

    made = retraining.retrain(
        run,
        remedy,
        Path(path),
        cue=cue,
        seed=seed,
        fallback=fallback,
        region=region,
        weight=weight,
        report=report,
    )
    return open_run(made.path)


def embed(run: StoredRun, *, report: Report = silent) -> pd.DataFrame:
    """Lay the images of an audited run out on a plane by UMAP (McInnes et al. 2018), for the Patterns page too.

    Returns: one row per image, of at most 8,000: `image`, and `x` and `y`, without a unit; images with similar
    activations lie near each other. Raises RunError where UMAP is not installed, and where fewer than 10 images have
    vectors.
    """
    places.lay_out(run, report)
    rows = places.laid_out(run)
    positions = places.kept(run, rows)
    if positions is None:
        raise places.changed(run)
    return pd.DataFrame({"image": rows["image"].to_numpy(str), "x": positions[:, 0], "y": positions[:, 1]})
