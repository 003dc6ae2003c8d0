"""The background test: the water exchanged, the animal kept."""

from whalecam.explain.background_test.backgrounds import Scene, Water
from whalecam.explain.background_test.donors import gather, scene_of
from whalecam.explain.background_test.edits import EDITS, PROPERTIES
from whalecam.explain.background_test.exchange import WHOLE, Donor, Needs, Question, Witness

__all__ = ["EDITS", "PROPERTIES", "WHOLE", "Donor", "Needs", "Question", "Scene", "Water", "Witness", "gather"]
__all__ += ["scene_of"]
