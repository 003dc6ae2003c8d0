"""The background test: the background exchanged, the subject kept."""

from whalecam.explain.background_test.backgrounds import Scene, Water
from whalecam.explain.background_test.donors import gather, scene_of
from whalecam.explain.background_test.edits import EDITS, PROPERTIES
from whalecam.explain.background_test.exchange import WHOLE, BackgroundTest, Donor, Effect, Question

__all__ = ["EDITS", "PROPERTIES", "WHOLE", "BackgroundTest", "Donor", "Effect", "Question", "Scene", "Water", "gather"]
__all__ += ["scene_of"]
