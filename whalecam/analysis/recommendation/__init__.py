"""Which remedy the evidence supports: what was simulated, what was measured, and what follows."""

from whalecam.analysis.recommendation.advice import Advice, Measured, recommend, remedy_words
from whalecam.analysis.recommendation.leaks import leaks_summary, many_unassessed, unassessed_sentence
from whalecam.analysis.recommendation.simulated_metrics import (
    PRESENT,
    RemedyMetrics,
    Simulation,
    cell,
    columns_of,
    interval,
    metrics_of,
    name_of,
)
from whalecam.analysis.recommendation.stored import advise, measured_of, simulation_of, step

__all__ = [
    "PRESENT",
    "Advice",
    "Measured",
    "RemedyMetrics",
    "Simulation",
    "cell",
    "columns_of",
    "interval",
    "leaks_summary",
    "many_unassessed",
    "metrics_of",
    "name_of",
    "unassessed_sentence",
]
__all__ += [
    "advise",
    "measured_of",
    "recommend",
    "remedy_words",
    "simulation_of",
    "step",
]
