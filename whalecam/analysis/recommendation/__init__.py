"""Which remedy the evidence supports: what was simulated, what was measured, and what follows."""

from whalecam.analysis.recommendation.advice import WORDS, Advice, Figure, Measured, recommend
from whalecam.analysis.recommendation.figures import COLUMNS, NAMES, PRESENT, cell, figures, interval
from whalecam.analysis.recommendation.leaks import leaks_found
from whalecam.analysis.recommendation.stored import SIMULATION, advise, measured_of, simulation_of, step

__all__ = [
    "COLUMNS",
    "NAMES",
    "PRESENT",
    "SIMULATION",
    "WORDS",
    "Advice",
    "Figure",
    "Measured",
    "cell",
    "figures",
    "interval",
    "leaks_found",
]
__all__ += ["advise", "measured_of", "recommend", "simulation_of", "step"]
