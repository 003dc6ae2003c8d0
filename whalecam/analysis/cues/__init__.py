"""Cues beyond the background's looks: which ones a run's predictions rely on."""

from whalecam.analysis.cues.findings import PATCH, CueFinding, cue_findings, cue_scores, cues_of_images
from whalecam.analysis.cues.sentence import cue_sentence, cue_title

__all__ = ["PATCH", "CueFinding", "cue_findings", "cue_scores", "cue_sentence", "cue_title", "cues_of_images"]
