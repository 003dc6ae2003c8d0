"""The second witness: the water changed, the animal kept (evidence.md §4)."""

from whalecam.swap.edits import EDITS, PROPERTIES
from whalecam.swap.water import Scene
from whalecam.swap.witness import Donor, Needs, Witness

__all__ = ["EDITS", "PROPERTIES", "Donor", "Needs", "Scene", "Witness"]
