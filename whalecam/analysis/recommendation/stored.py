"""What run folders hold of simulations, and what a training with a remedy changed between two of them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from whalecam.analysis.recommendation.advice import Advice, Figure, Measured, recommend
from whalecam.analysis.recommendation.simulated_metrics import interval
from whalecam.commands import Command, Compare, Retrain, Simulate
from whalecam.config import SIMULATED
from whalecam.store.run import Run, read_json


def simulation_of(run: Run) -> dict[str, Any] | None:
    """What was last simulated with the run's present network; None where nothing was."""
    target = run.simulation
    simulation = read_json(target) if target.is_file() else None
    return simulation if simulation and simulation.get("model_sha256") == run.manifest.model_sha256 else None


def measured_of(run: Run, others: Iterable[Run]) -> list[Measured]:
    """What training again with a remedy changed, for each other run of the same source on the images both judged."""
    trained = [other for other in others if _remedy(other) != "none" and other.path != run.path]
    # Simulations hold every image's outcome and are read on each visit: none that nothing is asked of.
    before = simulation_of(run) if trained else None
    if before is None:
        return []
    changes = []
    for other in trained:
        after = simulation_of(other)
        if after and after["source"] == before["source"]:
            unseen, own = (_change(name, before, after) for name in ("unseen", "own"))
            if unseen is not None and own is not None:
                changes.append(Measured(_remedy(other), other.name, unseen, own))
    return changes


def advise(run: Run, facts: Mapping[str, Any], others: Iterable[Run]) -> tuple[Advice, list[Measured]]:
    """What to do about a run's leaks, and the trainings with a remedy among `others` that it rests on.

    Args:
        facts: `Table.overview()` of the run.
    """
    simulated, own, beside = simulation_of(run), _remedy(run), list(others)
    measured = measured_of(run, beside)
    metrics = simulated["figures"] if simulated else None
    return recommend(facts, metrics, measured, own, _since(run, beside)), measured


def _since(run: Run, others: Iterable[Run]) -> Measured | None:
    """What the run's own remedy changed, against an untouched run of `others`: where it won most."""
    if _remedy(run) == "none":
        return None
    changes = [
        replace(change, run=other.name)
        for other in others
        if _remedy(other) == "none"
        for change in measured_of(other, [run])
    ]
    return max(changes, key=lambda change: change.unseen.value, default=None)


def _remedy(run: Run) -> str:
    return str(run.manifest.train.get("remedy", "none"))


def step(run: Run, advice: Advice) -> Command | None:
    """The command of the next step; None where there is none.

    A network that was loaded, or trained on mended images, cannot be trained again from its run.
    """
    if advice.todo == "simulate":
        return Simulate(run=str(run.path))
    if advice.todo == "compare":
        pair = (advice.before or run.name, advice.after or run.name)
        return Compare(runs=tuple(str(run.path.with_name(name)) for name in pair))
    if advice.todo == "retrain" and run.manifest.train and run.manifest.train.get("remedy") not in SIMULATED:
        return Retrain(run=str(run.path), remedy=str(advice.remedy), out=str(_free(run, str(advice.remedy))))
    return None


def _free(run: Run, remedy: str) -> Path:
    """A folder beside the run that does not exist yet."""
    wanted, number = run.path.with_name(f"{run.name}-{remedy}"), 2
    while wanted.exists():
        wanted = run.path.with_name(f"{run.name}-{remedy}-{number}")
        number += 1
    return wanted


def _change(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Figure | None:
    """The paired difference of accuracy on the shared images, with its interval over individuals."""
    shared = [image for image in before[name] if before[name][image] is not None and after[name].get(image) is not None]
    change = np.array([after[name][image] - before[name][image] for image in shared], np.float64)
    paired = interval(change, [before["groups"][image] for image in shared])
    return None if paired is None else Figure(*paired)
