"""Which remedy the evidence supports: what was simulated, what was measured, and what follows."""

from whalecam.analysis.recommendation.advice import WORDS, Advice, Figure, Measured, recommend
from whalecam.analysis.recommendation.leaks import leaks_summary
from whalecam.analysis.recommendation.simulated_metrics import COLUMNS, NAMES, PRESENT, cell, interval, metrics_of
from whalecam.analysis.recommendation.stored import advise, measured_of, simulation_of, step

__all__ = [
    "COLUMNS",
    "NAMES",
    "PRESENT",
    "WORDS",
    "Advice",
    "Figure",
    "Measured",
    "cell",
    "interval",
    "leaks_summary",
    "metrics_of",
]
__all__ += ["advise", "measured_of", "recommend", "simulation_of", "step"]
