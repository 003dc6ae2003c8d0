"""What mends a data set or a training: one file per remedy, and the menus."""

from whalecam.remedies.combination import apply, mended_masks
from whalecam.remedies.cues import cue_of
from whalecam.remedies.export_dataset import Export, case_of, export_dataset, mean_water, mend, record_in
from whalecam.remedies.kinds import Case, Mended, Remedy, Rgb, inside
from whalecam.remedies.menu import AUGMENTS, REMEDIES
from whalecam.remedies.shuffle import Shuffle
from whalecam.remedies.training import finder, layer_change, refit, train

__all__ = [
    "AUGMENTS",
    "REMEDIES",
    "Case",
    "Export",
    "Mended",
    "Remedy",
    "Shuffle",
    "apply",
    "case_of",
    "cue_of",
    "export_dataset",
]
__all__ += [
    "Rgb",
    "finder",
    "inside",
    "layer_change",
    "mean_water",
    "mend",
    "mended_masks",
    "record_in",
    "refit",
    "train",
]
