"""Filters with counts: what could be chosen, how many images it would leave, and ranges of scores on histograms."""

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import streamlit as st

from whalecam.app.charts.audit_charts import COLOURS, SHAPES
from whalecam.app.components.assets import module, text
from whalecam.app.state import events
from whalecam.store.table import Spread
from whalecam.text import short

_component = st.components.v2.component(
    "whalecam_facets",
    html='<div class="facets"></div>',
    css=text("shared/marks.css") + text("facets/facets.css"),
    js=module("facets/facets.js"),
)
Bounds = tuple[float | None, float | None]
ANY: Bounds = (None, None)


@dataclass(frozen=True)
class Choices:
    """Values of a column to choose among.

    Attributes:
        name: of the filter, for the callback.
        title: of the section.
        counts: value → how many images it would leave, in the order of the list.
        chosen: those that are chosen now.
        words: value → what is shown in its place.
        several: whether more than one can be chosen.
        is_open: whether the section is unfolded at first.
    """

    name: str
    title: str
    counts: Mapping[str, int]
    chosen: Sequence[str]
    words: Mapping[str, str]
    several: bool = True
    is_open: bool = False


@dataclass(frozen=True)
class Range:
    """A score to bound, on its histogram; see `Choices` for the other fields."""

    name: str
    title: str
    spread: Spread
    chosen: Bounds = ANY
    is_open: bool = False


def facets(sections: Sequence[Choices | Range], key: str, choose: Callable[[str, Any], None]) -> None:
    """Show sections of filters, one below the other.

    Args:
        choose: is called before the next run of the page with the name of a section and what is chosen there now: a
            list of values, the one value or None, or for a range its two ends, each None where it is open.
    """
    data = {"inbox": events.inbox(key), "sections": [_packed(section) for section in sections]}
    known = {section.name: section for section in sections}
    _component(key=key, data=data, on_did_change=functools.partial(_take, key, known, choose))


def _take(key: str, known: Mapping[str, Choices | Range], choose: Callable[[str, Any], None]) -> None:
    events.noting(key)()
    while event := events.take(key):
        value = event[1]
        if isinstance(value, dict) and (section := known.get(str(value.get("name")))):
            with suppress(TypeError, ValueError):
                choose(section.name, _checked(section, value.get("chosen")))


def _checked(section: Choices | Range, chosen: Any) -> Any:
    """What the browser sent, where it is a choice of this section; else TypeError or ValueError."""
    if isinstance(section, Range):
        low, high = (None if end is None else float(end) for end in chosen)
        return low, high
    if section.several:
        return [str(value) for value in chosen if value in section.counts]
    if chosen is not None and chosen not in section.counts:
        raise ValueError(chosen)
    return chosen


def _packed(section: Choices | Range) -> dict[str, object]:
    shared = {"name": section.name, "title": section.title, "isOpen": section.is_open}
    if isinstance(section, Range):
        spread, bars = section.spread, len(section.spread.counts)
        ends = [spread.low + (spread.high - spread.low) * at / bars for at in range(bars + 1)]
        low, high = section.chosen
        return shared | {
            "kind": "range",
            "counts": spread.counts,
            "ends": [float(short(end, 4)) for end in ends],
            "chosen": [low, high],
        }
    options = [
        {
            "value": value,
            "word": section.words.get(value, value),
            "count": count,
            "isChosen": value in section.chosen,
            "colour": COLOURS.get(value) if section.name == "assessment" else None,
            "shape": SHAPES.get(value) if section.name == "assessment" else None,
        }
        for value, count in section.counts.items()
    ]
    return shared | {"kind": "several" if section.several else "one", "options": options}
