"""Which remedy the evidence supports: what was simulated, what was measured, and what follows."""

from whalecam.recommendation.advice import WORDS, Advice, Figure, Measured, recommend
from whalecam.recommendation.figures import PRESENT, figures, interval
from whalecam.recommendation.stored import SIMULATION, measured_of, simulation_of

__all__ = ["PRESENT", "SIMULATION", "WORDS", "Advice", "Figure", "Measured", "figures", "interval"]
__all__ += ["measured_of", "recommend", "simulation_of"]
