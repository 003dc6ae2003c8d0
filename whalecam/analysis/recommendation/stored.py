"""What run folders hold of simulations, and what a training with a remedy changed between two of them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from whalecam.analysis.recommendation.advice import Advice, Measured, recommend
from whalecam.analysis.recommendation.simulated_metrics import Simulation, interval
from whalecam.commands import Command, Compare, Retrain, Simulate
from whalecam.config import (
    BACKGROUND,
    BLACK_BOX,
    IN_MEMORY,
    LAYER_REMEDIES,
    PROJECT,
    mending_of,
)
from whalecam.stats import Interval
from whalecam.store.json_file import read_json
from whalecam.store.run import Run
from whalecam.store.table import LeakCounts

Rights = Mapping[str, float | None]
"""By image, the share of right predictions; None where there is none."""


def simulation_of(run: Run) -> Simulation | None:
    """What was last simulated with the run's present network; None where nothing was."""
    target = run.simulation
    simulation = read_json(target) if target.is_file() else {}
    is_present = simulation.get("model_sha256") == run.manifest.model_sha256
    return cast(Simulation, simulation) if simulation and is_present else None


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
            unseen = _change(before["unseen"], after["unseen"], before["groups"])
            own = _change(before["own"], after["own"], before["groups"])
            if unseen is not None and own is not None:
                changes.append(Measured(_remedy(other), other.name, unseen, own))
    return changes


def advise(run: Run, facts: LeakCounts, others: Iterable[Run]) -> tuple[Advice, list[Measured]]:
    """What to do about a run's leaks, and the trainings with a remedy among `others` that it rests on.

    Args:
        facts: `Table.overview()` of the run.
    """
    simulated, own, beside = simulation_of(run), _remedy(run), list(others)
    measured = measured_of(run, beside)
    metrics = simulated["figures"] if simulated else None
    since, obstacle = _since(run, beside), _obstacle(run)
    return recommend(facts, metrics, measured, own=own, since=since, words=run.words, obstacle=obstacle), measured


def _obstacle(run: Run) -> str:
    """Why remedies cannot be simulated with the run's network; empty where they can, as far as the run states it."""
    if run.manifest.network.get("way") in (BLACK_BOX, IN_MEMORY):
        return "the network is a function or module in the memory of the process that made the run"
    return "" if run.has_positions else "the network draws no maps of its own, by which they are simulated"


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

    A network that was loaded, or trained on mended images, cannot be trained again from its run; the last layer of a
    loaded one can be changed.
    """
    if advice.todo == "simulate":
        return Simulate(run=str(run.path))
    if advice.todo == "compare":
        pair = (advice.before or run.name, advice.after or run.name)
        return Compare(runs=tuple(str(run.path.with_name(name)) for name in pair))
    trained = run.manifest.train
    can_train = trained and not trained.get("loaded")
    is_possible = can_train or advice.remedy in LAYER_REMEDIES
    if advice.todo == "retrain" and is_possible and not mending_of(_remedy(run)):
        remedy, simulated = str(advice.remedy), simulation_of(run)
        cue = simulated.get("cue", BACKGROUND) if simulated and remedy == PROJECT else BACKGROUND
        return Retrain(run=str(run.path), remedy=remedy, out=str(_free(run, remedy)), cue=cue)
    return None


def _free(run: Run, remedy: str) -> Path:
    """A folder beside the run that does not exist yet."""
    wanted, number = run.path.with_name(f"{run.name}-{remedy}"), 2
    while wanted.exists():
        wanted = run.path.with_name(f"{run.name}-{remedy}-{number}")
        number += 1
    return wanted


def _change(before: Rights, after: Rights, groups: Mapping[str, int]) -> Interval | None:
    """The paired difference of accuracy on the shared images, with its interval over individuals."""
    changes = {
        image: later - earlier
        for image, earlier in before.items()
        if earlier is not None and (later := after.get(image)) is not None
    }
    return interval(np.array(list(changes.values()), np.float64), [groups[image] for image in changes])
