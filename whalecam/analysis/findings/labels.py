"""What is wrong with the labels: one class under two names, names to ask about, too few images of a class."""

from collections.abc import Iterable, Sequence

import pandas as pd

from whalecam.analysis.findings.finding import Evidence, Finding
from whalecam.analysis.findings.names import SAME, look_alikes, words_of
from whalecam.analysis.findings.synonyms import SYNONYMS
from whalecam.data.placeholders import is_placeholder
from whalecam.words import Words

LOOK_ALIKE = "look_alike"
IMBALANCE, GREAT_IMBALANCE = 10.0, 100.0
"""Images of the largest class for one of the smallest, from which imbalance is a low, and a medium finding."""
APART = 5
"""Individuals of the rarer of two names from which none in common says something about where they come from."""
FEWEST_IMAGES, FEWEST_INDIVIDUALS = 10, 2
"""Below these a class cannot be learnt on one part and validated on another."""
SOURCE = (
    "No {group} stands under both, so most likely they come from different sources, and a network can tell the two by "
    "who took and cropped the image: a source shortcut."
)
MIXED = "What little tells the two apart is not the {subject}."


def labels(evidence: Evidence) -> list[Finding]:
    """Look-alike names, names to ask about, imbalance, classes too small to learn."""
    good = evidence.data.good()
    counts = good["label"].value_counts()
    pairs = look_alikes(_names(counts))
    same = [(first, second) for first, second, kind in pairs if kind == SAME]
    words = evidence.words
    problems = [_look_alike(good, *_larger_first(counts, pair), words) for pair in same]
    groups = [("", pair[:2]) for pair in pairs if pair[2] != SAME]
    problems += [_question(good, meaning, group, words) for meaning, group in [*groups, *_synonymous(counts.index)]]
    return [*problems, *_imbalance(counts), *_too_small(good, counts, words)]


def _names(counts: "pd.Series[int]") -> list[str]:
    """Sorted, without placeholders: that two of these are spelt alike says nothing about classes."""
    return sorted(str(name) for name in counts.index if not is_placeholder(str(name)))


def twins(evidence: Evidence) -> list[tuple[str, str]]:
    """Pairs of labels that differ in spelling only, the more frequent first."""
    counts = evidence.data.good()["label"].value_counts()
    pairs = look_alikes(_names(counts))
    return [_larger_first(counts, (first, second)) for first, second, kind in pairs if kind == SAME]


def labels_map(problems: Iterable[Finding]) -> pd.DataFrame:
    """The merges that look-alike findings suggest: `old`, `new`, as `train --labels-map` reads them.

    Of several spellings of one class all become the most frequent one; names that are only asked about stay.
    """
    into: dict[str, str] = {}
    alike = [finding for finding in problems if finding.code == LOOK_ALIKE]
    for finding in sorted(alike, key=lambda finding: -finding.facts["images"]):
        kept, dropped = finding.about
        into.setdefault(dropped, kept)
    for name in into:
        while into[name] in into:
            into[name] = into[into[name]]
    return pd.DataFrame(sorted(into.items()), columns=["old", "new"], dtype=str)


def _larger_first(counts: "pd.Series[int]", pair: tuple[str, str]) -> tuple[str, str]:
    first, second = pair
    return (first, second) if (counts[first], second) > (counts[second], first) else (second, first)


def shared_by(good: pd.DataFrame, names: Sequence[str]) -> int:
    """How many (known) individuals stand under more than one of these labels."""
    known = good[good["label"].isin(names) & (good["group"] != "")]
    return int((known.groupby("group")["label"].nunique() > 1).sum())


def _look_alike(good: pd.DataFrame, kept: str, dropped: str, words: Words) -> Finding:
    rows, more = good[good["label"] == dropped], int((good["label"] == kept).sum())
    known = rows.loc[rows["group"] != "", "group"].nunique()
    shared = shared_by(good, (kept, dropped))
    apart = known >= APART and shared == 0
    common = f"share {_count(shared, words)}" if known else f"have no known {words.groups}"
    source = (SOURCE if apart else MIXED).format_map(vars(words))
    return Finding(
        LOOK_ALIKE,
        "high",
        f"'{dropped}' ({len(rows):,} images) is spelt almost like '{kept}' ({more:,} images); the two {common}.",
        f"One {words.label} under two names is a class that exists only by its spelling. {source}",
        f"Merge '{dropped}' into '{kept}': Train with this merge on the Dataset page, or train --labels-map. The CSV "
        "stays as it is.",
        (kept, dropped),
        {
            "kept": kept,
            "dropped": dropped,
            "images_kept": more,
            "images": len(rows),
            "shared_individuals": shared,
            "source_shortcut": apart,
        },
        rows.drop(columns=["path", "status"]).assign(suggested_label=kept),
    )


def _count(shared: int, words: Words) -> str:
    return f"{shared:,} {words.group if shared == 1 else words.groups}"


def _synonymous(names: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """(meaning, labels present) of each line of SYNONYMS that names two of these labels, widest name first."""
    spelt = {"".join(words_of(name)): name for name in names}
    lines = ((meaning, ["".join(words_of(name)) for name in group]) for meaning, group in SYNONYMS)
    present = ((meaning, tuple(spelt[name] for name in group if name in spelt)) for meaning, group in lines)
    return [(meaning, group) for meaning, group in present if len(group) > 1]


def _question(good: pd.DataFrame, meaning: str, names: Sequence[str], words: Words) -> Finding:
    counts = {name: int((good["label"] == name).sum()) for name in names}
    shared = shared_by(good, names)
    listed = ", ".join(f"'{name}' ({count:,})" for name, count in counts.items())
    what = f"one {words.label} ({meaning})" if meaning else f"one {words.label}, written differently"
    return Finding(
        "same_class",
        "low",
        f"Do {listed} mean {what}? They share {_count(shared, words)}.",
        f"If they do, a network is taught to tell one {words.label} from itself; if they do not, merging would lose "
        "one. "
        "The names do not tell which.",
        "Ask who labelled them. To merge, write a CSV with the columns old,new and give it to train --labels-map.",
        tuple(sorted(names)),
        {"labels": counts, "shared_individuals": shared},
        good[good["label"].isin(names)].drop(columns=["path", "status"]),
    )


def _imbalance(counts: "pd.Series[int]") -> list[Finding]:
    if len(counts) < 2 or counts.max() < IMBALANCE * counts.min():
        return []
    most, least = int(counts.max()), int(counts.min())
    return [
        Finding(
            "imbalance",
            "medium" if most >= GREAT_IMBALANCE * least else "low",
            f"Imbalance {most:,} : {least:,} images, of '{counts.idxmax()}' and '{counts.idxmin()}'.",
            "Plain accuracy is ruled by the large classes: a network may never name a small one and still look good.",
            "Use balanced accuracy and the confusion matrix, not accuracy alone.",
            facts={"most": most, "least": least, "largest": counts.idxmax(), "smallest": counts.idxmin()},
            rows=pd.DataFrame({"label": counts.index.astype(str), "images": counts.to_numpy()}),
        )
    ]


def _too_small(good: pd.DataFrame, counts: "pd.Series[int]", words: Words) -> list[Finding]:
    """Classes below FEWEST_IMAGES, or whose images all show fewer than FEWEST_INDIVIDUALS."""
    known = good[good["group"] != ""].groupby("label")["group"].nunique()
    table = pd.DataFrame({"images": counts, "individuals": known.reindex(counts.index)})
    named = good["group"].ne("").groupby(good["label"]).all().reindex(counts.index)
    few = (table["images"] < FEWEST_IMAGES) | (named & (table["individuals"] < FEWEST_INDIVIDUALS))
    if not few.any():
        return []
    small = table[few].rename_axis("label").reset_index().sort_values("images")
    listed = ", ".join(f"'{row.label}' ({row.images:,})" for row in small.head(5).itertuples())
    return [
        Finding(
            "too_small",
            "medium",
            f"{len(small):,} of {len(counts):,} classes have fewer than {FEWEST_IMAGES} images or a single "
            f"{words.group}: {listed}{' and others' if len(small) > 5 else ''}.",
            "Such a class cannot be learnt on one part and validated on another; its score is luck.",
            "Collect more images, or leave the classes out: Images per class, at least (train --min-per-class).",
            facts={"classes": len(small)},
            rows=small,
        )
    ]
