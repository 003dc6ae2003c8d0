"""The leaks of a run in plain words: how many images, and which labels stand out."""

from collections.abc import Callable, Sequence

import pandas as pd

from whalecam.store.table import LeakCounts, Totals
from whalecam.text import listed, percent, percent_of
from whalecam.words import Words

STANDS_OUT = 0.1
"""A label stands out whose share of leaks lies surely (95 %) above this."""
MANY_UNASSESSED = 0.1
"""From this share of all images on, those that are not assessed are named before anything else."""
UNREADABLE = "Mend the files, or their names in the table, and audit again."
NAMED = 4
Stress = Callable[[str], str]
"""How a figure or a name is made to stand out in a text."""


def leaks_summary(facts: LeakCounts, labels: pd.DataFrame, words: Words, strong: Stress = str) -> str:
    """How many images rest on their background, and which labels stand out.

    Args:
        facts: `Table.overview()`.
        labels: `Table.per_label()`.
        words: of the run.
    """
    named = standing_out(labels, "confirmed" if facts["measured"] else "suspects", words, strong)
    if facts["measured"] and not facts["assessable"]:
        return (
            f"{strong(format(facts['background'], ','))} of {facts['measured']:,} tested images "
            f"{strong(f'rely on their {words.background}')}. Where the network looks was not measured: this audit has "
            "no maps."
        )
    if facts["measured"]:
        hidden = _others(facts, words, strong)
        if relying := facts.get("relying", ()) if not facts["suspects"] else ():
            hidden += f" {relying_sentence(relying, words)}"
        count = strong(f"{facts['confirmed']:,}")
        return (
            f"{count} of {facts['measured']:,} tested images are {strong('confirmed leaks')}: the network "
            f"looks at the {words.background}, and its prediction relies on it. {named}{hidden}"
        )
    if facts["suspects"]:
        return (
            f"{strong(format(facts['suspects'], ','))} of {facts['assessable']:,} assessable images look at the "
            f"{words.background} rather than the {words.subject}. {named} Attention on the {words.background} is a "
            "suspicion: an audit with the background test proves it or not."
        )
    where = f"looks at the {words.background} more than a flat map would."
    return f"None of {facts['assessable']:,} assessable images {where}"


def _others(facts: LeakCounts, words: Words, strong: Stress) -> str:
    """The other images that rely on their background, by the names of their assessments."""
    text = ""
    if facts["hidden"]:
        text += (
            f" Another {facts['hidden']:,} are {strong('hidden reliance')}: the prediction relies on the "
            f"{words.background} without attention on it."
        )
    if facts["background"]:
        text += (
            f" {facts['background']:,} more are {strong('background reliance')}: the prediction relies on it; where "
            "the network looks cannot be assessed there."
        )
    return text


def many_unassessed(facts: Totals, reasons: pd.DataFrame) -> int:
    """How many readable images are not assessed, where that is much of all; else 0.

    Args:
        facts: `Table.overview()`.
        reasons: `Table.unassessed()`.
    """
    images = int(reasons.loc[reasons["is_readable"].astype(bool), "images"].sum())
    return images if images and images >= MANY_UNASSESSED * facts["images"] else 0


def unassessed_sentence(facts: Totals, reasons: pd.DataFrame, words: Words, strong: Stress = str) -> str:
    """That many images are not assessed, why, and what would help; empty where they are few.

    Args:
        facts: `Table.overview()`.
        reasons: `Table.unassessed()`.
    """
    if not facts["images"] or reasons.empty or reasons["images"].sum() < MANY_UNASSESSED * facts["images"]:
        return ""
    images, first = int(reasons["images"].sum()), reasons.iloc[0]
    share = strong(f"{images:,} of {facts['images']:,} images ({percent_of(images, facts['images'])})")
    help_ = _remedy(str(first["reason"]), words) if first["is_readable"] else UNREADABLE
    return (
        f"{share} are {strong('not assessable')}, and nothing below is about them. The most frequent reason: "
        f"{first['reason'] or 'none is noted'} ({int(first['images']):,}). {help_}"
    )


def _remedy(reason: str, words: Words) -> str:
    """What makes an image assessable that is not, by its reason."""
    if reason.startswith("subject smaller"):
        return f"Train and audit at a larger size, or crop to the {words.subject}."
    if reason.startswith("subject covers"):
        return f"Give masks or boxes that are tight around the {words.subject}, and audit again."
    return f"Give masks or boxes of the {words.subjects} and audit again."


def relying_sentence(classes: Sequence[str], words: Words) -> str:
    """That predicted classes rely on their backgrounds, though none of their images is listed."""
    return (
        f"But predictions of {listed(classes, NAMED)} rely on the {words.background} as a whole, beyond "
        "chance: no single image is certain enough to be listed at this rate."
    )


def standing_out(labels: pd.DataFrame, column: str, words: Words, strong: Stress = str) -> str:
    """Which labels leak, in words: those whose share is surely above STANDS_OUT; and the most among the others.

    Args:
        labels: `Table.per_label()`; `share` and `low` are of `column`, `confirmed` or `suspects`.
    """
    assessable = labels[labels["assessable"] > 0].sort_values("share", ascending=False)
    leaking = assessable[assessable["low"] >= STANDS_OUT]
    others = assessable.drop(index=leaking.index)
    rest = f"at most {percent(others['share'].max())} of the images" if len(others) else ""
    if leaking.empty:
        return f"No {words.label} stands out: {rest} of any." if rest else ""
    named = [
        f"{strong(str(name))} ({hits:.0f} of {of:.0f})"
        for name, hits, of in leaking[["label", column, "assessable"]].head(NAMED).itertuples(index=False)
    ]
    more = f" and {len(leaking) - NAMED} more" if len(leaking) > NAMED else ""
    others_share = f"; of each other {words.label} {rest}" if rest else ""
    return f"{', '.join(named)}{more} stand{'s' if len(leaking) == 1 else ''} out{others_share}."
