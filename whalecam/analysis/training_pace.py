"""How long trainings took on this machine, for somebody who is about to start one."""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from whalecam.store.run import Run
from whalecam.text import count, duration


@dataclass(frozen=True)
class Pace:
    """How long an epoch of a training took.

    Attributes:
        run, arch: names of the run and of its architecture.
        size: side of the network's input in px.
        images: that it was trained on.
        seconds: of an epoch with all layers, the median.
    """

    run: str
    arch: str
    size: int
    images: int
    seconds: float


def pace_of(run: Run) -> Pace | None:
    """The pace of a run's training; None where it was not trained in epochs, or its times are not known."""
    metrics = run.metrics()
    images, rows = metrics.get("n_train"), metrics.get("epochs") or ()
    known = [row["seconds"] for row in rows if row.get("epoch") and math.isfinite(row.get("seconds", math.nan))]
    if not images or not known:
        return None
    network = run.manifest.network
    seconds = statistics.median(known)
    return Pace(run.name, str(network.get("arch")), int(network.get("size") or 0), int(images), seconds)


def pace_sentence(runs: Iterable[Run], images: int) -> str:
    """How long an epoch took in the first of `runs` whose pace is known, and what that is for so many `images`.

    The time of an epoch is taken to grow with the number of images.
    """
    pace = next((pace for pace in map(pace_of, runs) if pace), None)
    if pace is None:
        return "No training has been timed here yet. Its first steps show how long the rest will take."
    per_image = pace.seconds / pace.images
    return (
        f"An epoch of {pace.arch} at {pace.size} px took {duration(pace.seconds)} for {count(pace.images)} images in "
        f"the run {pace.run}. For the {count(images)} images here that is about {duration(per_image * images)} an "
        "epoch; one with the body frozen comes first. Another architecture or size takes another time."
    )
