"""The leaks of a run in plain words: how many images, and which labels stand out."""

from collections.abc import Callable, Sequence

import pandas as pd

from whalecam.store.table import LeakCounts
from whalecam.text import listed, percent
from whalecam.words import Words

STANDS_OUT = 0.1
"""A label stands out whose share of leaks lies surely (95 %) above this."""
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
        behind = f"the {words.background} without attention on it."
        hidden = f" Another {facts['hidden']:,} rely on {behind}" if facts["hidden"] else ""
        if facts["background"]:
            hidden += f" {facts['background']:,} more rely on it; where the network looks cannot be assessed there."
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
