"""The second witness: the water changed, the animal kept (evidence.md §4)."""

from whalecam.swap.edits import EDITS, PROPERTIES
from whalecam.swap.pool import gather, scene_of
from whalecam.swap.water import Scene, Water
from whalecam.swap.witness import Donor, Needs, Witness, apart_of

__all__ = ["EDITS", "PROPERTIES", "Donor", "Needs", "Scene", "Water", "Witness", "apart_of", "gather", "scene_of"]
