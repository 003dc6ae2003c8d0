"""Groups beside the individual: which there are, what a random split shares, and which of them give the label away."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from whalecam.analysis.findings.finding import Evidence, Finding
from whalecam.analysis.findings.group_prediction import Prediction, predict_labels
from whalecam.analysis.findings.individuals import SEED, VALID_SHARE
from whalecam.analysis.findings.labels import twins
from whalecam.analysis.findings.shortcuts import LEVELS
from whalecam.data import folds
from whalecam.data.groups import INDIVIDUAL, Candidate, candidates
from whalecam.stats import holm
from whalecam.text import listed, percent
from whalecam.words import Words

SIGNIFICANT = 0.05
LISTED = 6
WHY = (
    "A network may learn what the images of a group share instead of the {subject}, and a random split does not "
    "show it."
)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """How well one candidate predicts some labels; `labels` empty: all of them.

    Attributes:
        result: None where there is nothing to predict.
        p: after Holm's correction over all trials.
        is_label: whether each label has one group only, so that the group may be the label in other words.
    """

    candidate: Candidate
    labels: tuple[str, ...]
    result: Prediction | None
    is_label: bool
    p: float = 1.0

    @property
    def severity(self) -> str:
        """By the skill, where it is beyond chance; `info` for what may be the label itself."""
        if self.result is None or self.p >= SIGNIFICANT or (self.is_label and not self.candidate.is_provenance):
            return "info"
        return next((name for name, least in LEVELS if self.result.skill >= least), "info")


def groups(evidence: Evidence) -> list[Finding]:
    """Groups that predict the label, strongest first, then one finding that lists all candidates.

    Nothing where the individual is the only candidate.
    """
    data = evidence.data
    good = data.good()
    others = [own for own in candidates(data, read_files=evidence.properties is not None) if own.name != INDIVIDUAL]
    others = [own for own in others if len(set(own.values[good.index]) - {""}) > 1]
    if not others or len(good) < 2:
        return []
    trials = _corrected(
        [_trial(own, good, labels) for own in others for labels in ((), *twins(evidence)) if _has(own, good, labels)]
    )
    problems = [trial for trial in trials if trial.severity != "info"]
    problems.sort(key=lambda trial: -trial.result.skill if trial.result else 0.0)
    shared = {own.name: _shared(own, good) for own in others}
    predicting = [_finding(trial, good, shared[trial.candidate.name], evidence.words) for trial in problems]
    return [*predicting, _list(trials, good, shared)]


def _has(own: Candidate, good: pd.DataFrame, labels: tuple[str, ...]) -> bool:
    """Whether all labels of a trial have known groups."""
    known = good[own.values[good.index] != ""]
    return not labels or set(labels) <= set(known["label"])


def _trial(own: Candidate, good: pd.DataFrame, labels: tuple[str, ...]) -> Trial:
    """Two names of one species cannot be in other words what tells them apart, so between them any group counts."""
    rows = good[good["label"].isin(labels)] if labels else good
    values = own.values[rows.index]
    result = predict_labels(values.tolist(), rows["label"].tolist(), rows["group"].tolist())
    per_label = values[values != ""].groupby(rows["label"]).nunique()
    return Trial(candidate=own, labels=labels, result=result, is_label=not labels and bool((per_label == 1).all()))


def _corrected(trials: Sequence[Trial]) -> list[Trial]:
    p = holm([trial.result.p if trial.result else float("nan") for trial in trials])
    return [
        Trial(candidate=trial.candidate, labels=trial.labels, result=trial.result, is_label=trial.is_label, p=value)
        for trial, value in zip(trials, p, strict=True)
    ]


def _shared(own: Candidate, good: pd.DataFrame) -> float:
    """The share of the validation images of a random split whose group is in training too."""
    values = own.values[good.index].tolist()
    valid = folds.split_rows(values, good["label"].tolist(), kind="random", valid_share=VALID_SHARE, seed=SEED)
    return folds.shared_individuals(values, valid)


def _finding(trial: Trial, good: pd.DataFrame, shared: float, words: Words) -> Finding:
    own, result = trial.candidate, trial.result
    assert result is not None  # noqa: S101  such a trial is `info`
    between = f"'{trial.labels[0]}' from '{trial.labels[1]}'" if trial.labels else "the label"
    return Finding(
        "twin_group" if trial.labels else "group_shortcut",
        trial.severity,
        f"The {own.name} ({own.origin}, {own.count:,} groups) predicts {between}: the most frequent label of the "
        f"others in its group is right for {percent(result.accuracy)} of the {words.groups}, that of all images for "
        f"{percent(result.majority)} (p = {trial.p:.3g}, corrected for all groups).",
        f"{WHY.format(subject=words.subject)} A random {percent(VALID_SHARE)} split has the {own.name} of "
        f"{percent(shared)} of its validation images in training too.",
        f"Train with --group {own.name}, which keeps each on one side; --compare-splits measures what the accuracy of "
        "a random split owes to it." + (" Merge the two labels." if trial.labels else ""),
        (own.name, *trial.labels),
        _facts(trial, shared),
        _table(own, good[good["label"].isin(trial.labels)] if trial.labels else good),
    )


def _facts(trial: Trial, shared: float) -> dict[str, object]:
    result = trial.result
    facts: dict[str, object] = {
        "group": trial.candidate.name,
        "origin": trial.candidate.origin,
        "groups": trial.candidate.count,
        "share": trial.candidate.share,
        "shared_by_a_random_split": shared,
        "labels": " / ".join(trial.labels) or "all",
        "is_label": trial.is_label,
    }
    if result is None:
        return facts
    return facts | {"accuracy": result.accuracy, "majority": result.majority, "skill": result.skill, "p": trial.p}


def _table(own: Candidate, rows: pd.DataFrame) -> pd.DataFrame:
    """Images per group and label, the largest first."""
    known = pd.DataFrame({"group": own.values[rows.index], "label": rows["label"]})
    counts = known[known["group"] != ""].value_counts().reset_index(name="images")
    return counts.sort_values(["images", "group", "label"], ascending=[False, True, True], ignore_index=True)


def _list(trials: Sequence[Trial], good: pd.DataFrame, shared: dict[str, float]) -> Finding:
    """All candidates; a table has what each predicts, and what a random split shares."""
    rows = pd.DataFrame([_facts(trial, shared[trial.candidate.name]) for trial in trials])
    candidates = [trial.candidate for trial in trials if not trial.labels]
    names = [f"{own.name} ({own.count:,}, {percent(own.share)} of the rows)" for own in candidates]
    labels = [trial.candidate.name for trial in trials if trial.is_label and not trial.candidate.is_provenance]
    same = f" Each label has a single {', '.join(labels)}, which may be the label in other words." if labels else ""
    return Finding(
        "group_candidates",
        "info",
        f"Groups that a split can keep together: {listed(names, LISTED)}.{same}",
        "Images of one source, camera, day or place look alike for reasons other than the label.",
        "Name one with --group to split by it. Nothing, if images of new groups will not come.",
        facts={"candidates": [own.name for own in candidates]},
        rows=rows.round(4),
    )
