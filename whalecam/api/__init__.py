"""The verbs of WhaleCAM for Python: the same as those of the command line, with the same options and defaults."""

from whalecam.api.datasets import check, open_dataset, unpack
from whalecam.api.individuals import match_table, matches, open_encoder
from whalecam.api.models import Cams, explain, open_model
from whalecam.api.remedies import embed, retrain, simulate
from whalecam.api.runs import Run, audit, compare, cues, open_run, remask, step_mask, train

__all__ = [
    "Cams",
    "Run",
    "audit",
    "check",
    "compare",
    "cues",
    "embed",
    "explain",
    "match_table",
    "matches",
    "open_dataset",
    "open_encoder",
    "open_model",
    "open_run",
    "remask",
    "retrain",
    "simulate",
    "step_mask",
    "train",
    "unpack",
]
