"""The background test: the water exchanged, the animal kept."""

from whalecam.swap.edits import EDITS, PROPERTIES
from whalecam.swap.pool import gather, scene_of
from whalecam.swap.water import Scene, Water
from whalecam.swap.witness import WHOLE, Donor, Needs, Question, Witness

__all__ = ["EDITS", "PROPERTIES", "WHOLE", "Donor", "Needs", "Question", "Scene", "Water", "Witness", "gather"]
__all__ += ["scene_of"]
