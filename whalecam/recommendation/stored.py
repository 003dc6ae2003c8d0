"""What run folders hold of simulations, and what a training with a remedy changed between two of them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from whalecam.recommendation.advice import Figure, Measured
from whalecam.recommendation.figures import interval
from whalecam.run import Run, read_json

SIMULATION = "simulation.json"


def simulation_of(run: Run) -> dict[str, Any] | None:
    """What was last simulated with the run's present network; None where nothing was."""
    target = run.path / SIMULATION
    found = read_json(target) if target.is_file() else None
    return found if found and found.get("model_sha256") == run.manifest.model_sha256 else None


def measured_of(run: Run, others: Iterable[Run]) -> list[Measured]:
    """What training again with a remedy changed, for each other run of the same source on the pictures both judged."""
    before = simulation_of(run)
    found = []
    for other in others:
        remedy, after = str(other.manifest.train.get("remedy", "none")), simulation_of(other)
        if before and after and remedy != "none" and other.path != run.path and after["source"] == before["source"]:
            unseen, own = (_change(name, before, after) for name in ("unseen", "own"))
            if unseen is not None and own is not None:
                found.append(Measured(remedy, other.name, unseen, own))
    return found


def _change(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Figure | None:
    """The paired difference of accuracy on the shared pictures, with its interval over individuals."""
    shared = [one for one in before[name] if before[name][one] is not None and after[name].get(one) is not None]
    change = np.array([after[name][one] - before[name][one] for one in shared], np.float64)
    found = interval(change, [before["groups"][one] for one in shared])
    return None if found is None else Figure(*found)
