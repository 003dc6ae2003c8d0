"""What is wrong with who is shown: individuals seen once or too often, of two species, on both sides of a split."""

import warnings

import numpy as np
import pandas as pd

from whalecam.analysis.findings.finding import Evidence, Finding
from whalecam.analysis.findings.labels import labels as label_findings
from whalecam.analysis.findings.labels import labels_map
from whalecam.text import percent, percent_of
from whalecam.words import Words

VALID_SHARE, SEED = 0.2, 0
GROUPED_SAMPLE = 5000
"""Individuals that the grouped split is tried on: it takes seconds on all of a large set, and gives the same."""
MIXED_SHARE, MIXED_GROUPS = 1 / 3, 4
"""Share of the images, and groups beside it, from which a group under several labels may be a placeholder."""
LEAKING, LEAKING_MUCH = 0.05, 0.3
"""Shares of validation images whose individual is in training too, from which that is a medium and a high finding."""


def individuals(evidence: Evidence) -> list[Finding]:
    """Seen once and at most, two species, what a random split leaks. Nothing where no individual is known."""
    good = evidence.data.good()
    known = good[good["group"] != ""]
    if known.empty:
        return []
    map_ = labels_map(label_findings(evidence))
    merges = dict(zip(map_["old"].tolist(), map_["new"].tolist(), strict=True))
    mixed = _mixed_group(known, evidence.words)
    single = known[~known["group"].isin([finding.about[0] for finding in mixed])]
    words = evidence.words
    return [_often(known, words), _two_labels(single, merges, words), *mixed, *_leaks(good, words)]


def _often(known: pd.DataFrame, words: Words) -> Finding:
    counts = known["group"].value_counts()
    once, most = int((counts == 1).sum()), int(counts.max())
    return Finding(
        "seen_once",
        "info",
        f"{once:,} of {len(counts):,} {words.groups} ({percent_of(once, len(counts))}) were seen once"
        + (f"; the most frequent one, '{counts.idxmax()}', {most:,} times." if most > 1 else "."),
        f"For {words.labels} this is no fault. A network that should recognise {words.groups} has nothing to compare "
        "these with.",
        f"Nothing, unless {words.groups} are to be recognised.",
        facts={"once": once, "individuals": len(counts), "most": most, "most_frequent": counts.idxmax()},
        rows=pd.DataFrame({"group": counts.index.astype(str), "images": counts.to_numpy()}),
    )


def _mixed_group(known: pd.DataFrame, words: Words) -> list[Finding]:
    """A group with a third of the images and several labels, which is hardly an animal."""
    counts = known["group"].value_counts()
    name, images = str(counts.index[0]), int(counts.iloc[0])
    rows = known[known["group"] == name]
    if images < MIXED_SHARE * len(known) or len(counts) < MIXED_GROUPS or rows["label"].nunique() < 2:
        return []
    return [
        Finding(
            "mixed_group",
            "medium",
            f"Does '{name}' mean that the {words.group} is unknown? It has {images:,} of {len(known):,} images "
            f"({percent_of(images, len(known))}) under {rows['label'].nunique():,} labels.",
            f"If so, a grouped split keeps all these images on one side, and findings on {words.groups} are wrong.",
            f"If it is no {words.group}, empty these cells: each image is a group of its own then.",
            (name,),
            {"group": name, "images": images, "of": len(known), "labels": int(rows["label"].nunique())},
            rows.drop(columns=["path", "status"]),
        )
    ]


def _two_labels(known: pd.DataFrame, merges: dict[str, str], words: Words) -> Finding:
    """Groups under two labels that no look-alike finding explains."""
    table = known.drop(columns=["path", "status"])
    several = table["label"].replace(merges).groupby(table["group"]).nunique()
    names = several.index[several > 1]
    rows = table[table["group"].isin(names)].sort_values(["group", "label"])
    passed = len(names) == 0
    return Finding(
        "two_species",
        "info" if passed else "high",
        f"Checked: none of {len(several):,} {words.groups} has two {words.labels}."
        if passed
        else f"{len(names):,} of {len(several):,} {words.groups} stand under two {words.labels} ({len(rows):,} "
        "images).",
        f"Each {words.subject} has one {words.label}, so one of its labels, or its name, is wrong.",
        "Nothing." if passed else f"Look at the images of each and correct the label or the {words.group}.",
        facts={"individuals": len(names), "of": len(several)},
        rows=rows,
    )


def _leaks(good: pd.DataFrame, words: Words) -> list[Finding]:
    from whalecam.data import folds

    if len(good) < 2:
        return []
    names = good["group"].to_numpy(object)
    valid = folds.split_rows(names.tolist(), good["label"].tolist(), kind="random", valid_share=VALID_SHARE, seed=SEED)
    both = valid & good["group"].isin(set(names[~valid]) - {""}).to_numpy()
    leaking, grouped = folds.shared_individuals(names.tolist(), valid), _grouped(good)
    says = "no grouped split exists" if grouped is None else f"with a grouped split it is {percent(grouped)}"
    return [
        Finding(
            "split_leak",
            "high" if leaking >= LEAKING_MUCH else "medium" if leaking >= LEAKING else "info",
            f"A random {percent(VALID_SHARE)} split puts the {words.groups} of {percent(leaking)} of the validation "
            f"images ({int(both.sum()):,} of {int(valid.sum()):,}) into training too; {says}.",
            f"A network that knows the {words.group}, or the day of the photograph, need not know the {words.label}; "
            "the accuracy of such a split promises too much.",
            "Train with --split group, which is the default.",
            facts={"share": leaking, "leaking": int(both.sum()), "validation": int(valid.sum()), "grouped": grouped},
            rows=good.loc[both].drop(columns=["path", "status"]),
        )
    ]


def _grouped(good: pd.DataFrame) -> float | None:
    """What the same share is after a grouped split; None where all images show one individual."""
    from whalecam.data import folds

    present = sorted(set(good["group"]) - {""})
    if len(present) < 2:
        return None
    chosen = np.random.default_rng(SEED).permutation(present)[:GROUPED_SAMPLE]
    rows = good[good["group"].isin(chosen)]
    names, species = rows["group"].tolist(), rows["label"].tolist()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        valid = folds.split_rows(names, species, kind="group", valid_share=VALID_SHARE, seed=SEED)
    return folds.shared_individuals(names, valid)
