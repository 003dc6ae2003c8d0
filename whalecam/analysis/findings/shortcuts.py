"""Properties of the image or its background alone that give the label away: what a network may learn instead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.analysis.findings.finding import Evidence, Finding
from whalecam.analysis.findings.labels import twins
from whalecam.analysis.findings.predictability import Guess, guess
from whalecam.data import OK
from whalecam.data.groups import candidate
from whalecam.words import Words

BOX, BACKGROUND = "box geometry", "colour of the background"
CLUES: Mapping[str, tuple[str, ...]] = {
    "image size": ("width", "height"),
    "aspect ratio": ("aspect",),
    "brightness": ("brightness", "brightness_perc_5", "brightness_perc_99"),
    BACKGROUND: ("water_l", "water_a", "water_b", "water_spread"),
    "sharpness": ("blurriness", "blurriness_grayscale_std"),
    "file and JPEG tables": ("jpeg_luma", "jpeg_chroma", "format_code"),
    BOX: ("x", "y", "box_width", "box_height", "box_area", "box_aspect"),
}
"""What may give a label away, and the numbers it is told from."""
KEYS = {BACKGROUND: "colour of the water"}
"""What the key of a finding calls a clue, since dismissals of earlier versions name it so."""
FEWEST = 10
PER_CLASS = 200
"""Images of a class that are enough to tell; drawn at random by individual."""
MOST_CLASSES = 50
LEVELS = (("high", 0.5), ("medium", 0.25), ("low", 0.1))
"""Severity by skill: where the lower end of the interval lies between chance (0) and perfection (1)."""
BOTH_ENDS = 48
PARTLY_SHAPE = {BOX: " A box follows the {subject}'s own shape too, so part of this is honest."}
TODO = "Audit with boxes or masks, crop to the {subject} (export-dataset --remedy crop), or level the property out."


@dataclass(frozen=True)
class Trial:
    """How well one clue tells some labels apart. `labels` empty: all of them."""

    clue: str
    result: Guess
    labels: tuple[str, ...] = ()

    @property
    def severity(self) -> str:
        return next((name for name, least in LEVELS if self.result.skill >= least), "info")


def shortcuts(evidence: Evidence) -> list[Finding]:
    """Clues that tell all classes apart, or look-alike twins; strongest first, then one finding on what tells nothing.

    Out-of-fold, grouped by individual or as the evidence says; nothing where neither boxes nor measured images are
    there.
    """
    table, group = _clues(evidence), evidence.group or evidence.words.group
    pairs = [(pair, _of(table, pair)) for pair in twins(evidence)]
    trials = [trial for labels, part in [((), _usual(table)), *pairs] for trial in _trials(part, labels)]
    trials.sort(key=lambda trial: -trial.result.skill)
    problems = [_finding(trial, table, evidence.words, group) for trial in trials if trial.severity != "info"]
    return [*problems, *_nothing([trial for trial in trials if trial.severity == "info"], evidence.words)]


def _clues(evidence: Evidence) -> pd.DataFrame:
    """A row per usable image: `image label group` and the numbers of CLUES that are known."""
    table = evidence.data.good()[["image", "label", "group"]]
    if evidence.group:
        table = table.assign(group=candidate(evidence.data, evidence.group).values[table.index])
    if evidence.properties is not None:
        seen = evidence.properties[evidence.properties["status"] == OK].drop(columns="status")
        seen = seen.assign(aspect=seen["width"] / seen["height"], format_code=pd.factorize(seen["format"])[0])
        table = table.merge(seen, on="image")
    boxes = _boxes(evidence.boxes, table) if evidence.boxes is not None and len(evidence.boxes) else None
    return table if boxes is None else table.merge(boxes, on="image", how="left")


def _boxes(boxes: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The largest box of each image, of the most frequent kind, in shares of the image's sides where it is known.

    Boxes in pixels of images of unknown size are used as they are, where there are no others.
    """
    own = boxes[boxes["kind"] == boxes["kind"].mode()[0]]
    shares, pixels = own[own["relative"].astype(bool)], own[~own["relative"].astype(bool)]
    if "width" in table:
        sized = pixels.merge(table[["image", "width", "height"]], on="image")
        for name in ("x1", "x2", "y1", "y2"):
            sized[name] = sized[name] / sized["width" if name[0] == "x" else "height"]
        shares = pd.concat([shares, sized])
    chosen = shares if len(shares) else pixels
    wide, high = chosen["x2"] - chosen["x1"], chosen["y2"] - chosen["y1"]
    measures = pd.DataFrame(
        {
            "image": chosen["image"],
            "x": (chosen["x1"] + chosen["x2"]) / 2,
            "y": (chosen["y1"] + chosen["y2"]) / 2,
            "box_width": wide,
            "box_height": high,
            "box_area": wide * high,
            "box_aspect": wide / high,
        }
    )
    return measures.sort_values("box_area", ascending=False).drop_duplicates("image")


def _of(table: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    return table[table["label"].isin(labels)]


def _usual(table: pd.DataFrame) -> pd.DataFrame:
    """Some images of every class, of the largest ones where there are very many; the same ones each time."""
    largest = table["label"].value_counts().head(MOST_CLASSES).index
    mixed = table[table["label"].isin(largest)].sample(frac=1, random_state=0)
    return mixed.groupby("label").head(PER_CLASS).sort_index()


def _trials(table: pd.DataFrame, labels: tuple[str, ...]) -> list[Trial]:
    trials = []
    for clue, columns in CLUES.items():
        if not set(columns) <= set(table.columns):
            continue
        rows = table.dropna(subset=list(columns))
        rows = rows[rows.groupby("label")["image"].transform("size") >= FEWEST]
        numbers: NDArray[np.float64] = rows[list(columns)].to_numpy(float)
        result = guess(numbers, rows["label"].tolist(), rows["group"].tolist(), rows["image"].tolist())
        if result is not None:
            trials.append(Trial(clue, result, labels))
    return trials


def _clue(trial: Trial, words: Words) -> str:
    return f"colour of the {words.background}" if trial.clue == BACKGROUND else trial.clue


def _finding(trial: Trial, table: pd.DataFrame, words: Words, group: str) -> Finding:
    result, twin, todo = trial.result, bool(trial.labels), TODO.format_map(vars(words))
    shape = PARTLY_SHAPE.get(trial.clue, "").format_map(vars(words))
    between = f"'{trial.labels[0]}' from '{trial.labels[1]}'" if twin else f"{result.classes:,} classes apart"
    return Finding(
        "twin_shortcut" if twin else "shortcut",
        trial.severity,
        f"The {_clue(trial, words)} alone tells {between}: {_score(result, group)}.",
        (
            f"The two names mean one {words.label}, so nothing about the {words.subject} can tell them: it is the "
            "source "
            "that shows."
            if twin
            else f"A network may learn this instead of the {words.subject}, and fail where it is different.{shape}"
        ),
        f"Merge the two labels. {todo}" if twin else todo,
        (KEYS.get(trial.clue, trial.clue), *trial.labels),
        _facts(trial, words),
        _both_ends(result, table, CLUES[trial.clue]),
    )


def _score(result: Guess, group: str) -> str:
    return (
        f"{result.measure} {result.score.value:.2f} (95\u00a0% interval {result.score.low:.2f} to "
        f"{result.score.high:.2f}; chance {result.chance:.2f}), out of fold, grouped by {group}, "
        f"on {len(result.images):,} images"
    )


def _facts(trial: Trial, words: Words) -> dict[str, object]:
    result = trial.result
    names = ("chance", "accuracy", "majority", "classes")
    known = {"clue": _clue(trial, words), "labels": list(trial.labels), "images": len(result.images)}
    score = {"measure": result.measure, "score": result.score.value, "low": result.score.low, "high": result.score.high}
    return known | score | {name: getattr(result, name) for name in names}


def _both_ends(result: Guess, table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The images whose label is surest from the clue, then those it is least sure of, with the clue's numbers."""
    rows = pd.DataFrame({"image": result.images, "sure": result.p_label}).sort_values("sure", ascending=False)
    if len(rows) > 2 * BOTH_ENDS:
        rows = pd.concat([rows.head(BOTH_ENDS), rows.tail(BOTH_ENDS)])
    known = table[["image", "label", "group", *columns]]
    return rows.merge(known, on="image").round(4)


def _nothing(trials: list[Trial], words: Words) -> list[Finding]:
    if not trials:
        return []
    rows = pd.DataFrame([{**_facts(trial, words), "labels": " / ".join(trial.labels) or "all"} for trial in trials])
    return [
        Finding(
            "no_shortcut",
            "info",
            f"Checked: {', '.join(dict.fromkeys(_clue(trial, words) for trial in trials))} "
            f"tell{'s' if len(trials) == 1 else ''} little or nothing about the label.",
            f"What does not tell the label cannot be learnt instead of the {words.subject}.",
            "Nothing.",
            facts={"trials": len(trials)},
            rows=rows,
        )
    ]
