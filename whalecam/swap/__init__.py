"""The second witness: the water changed, the animal kept (evidence.md §4)."""

from whalecam.swap.edits import EDITS, PROPERTIES
from whalecam.swap.pool import gather, scene_of
from whalecam.swap.water import Scene, Water
from whalecam.swap.witness import Donor, Needs, Witness

__all__ = ["EDITS", "PROPERTIES", "Donor", "Needs", "Scene", "Water", "Witness", "gather", "scene_of"]
