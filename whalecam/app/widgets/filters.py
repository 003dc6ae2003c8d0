"""Filters, order and paging of a list of images, all of them in the URL."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from whalecam.app.charts import places
from whalecam.app.charts.audit_charts import WORDS
from whalecam.app.components.facets import ANY, Bounds, Choices, Range, facets
from whalecam.app.shell.page_frame import plain
from whalecam.app.state import fields, page_number, reviewer_progress
from whalecam.app.widgets import chart_selection
from whalecam.config import ASSESSMENTS, SUSPECT_ASSESSMENTS
from whalecam.errors import DatasetError
from whalecam.store.run import Run
from whalecam.store.table import ORDERS, REVIEW_STATES, SCORES, Facets, Filters, Span, Table
from whalecam.text import short
from whalecam.words import Words, capital

FieldValue = str | Sequence[str] | None
QUEUE = "queue"
"""The list that the queue of the Heatmaps page goes through."""
PAGE_SIZES = (24, 48, 96)
RIGHTNESS = {"right": True, "wrong": False}
NOT_MINE = "not yet reviewed by me"
SEEN = {"not trained on": False, "trained on": True}
NAMES = ("label", "predicted", "assessment", "review", "right", "seen", "source", "group", "spans", "text", "region")
"""Each is the field `{key}_{name}` of the session and of the URL."""
EMPTY: Mapping[str, FieldValue] = MappingProxyType(
    dict.fromkeys(NAMES)
    | {"label": [], "predicted": [], "assessment": [], "source": [], "group": "", "spans": "", "text": "", "region": ""}
)
"""The values of the fields when nothing is filtered."""
DEFAULT_VERDICTS: Mapping[str, tuple[str, ...]] = MappingProxyType({"leaks": SUSPECT_ASSESSMENTS})
"""By list. Constant, because a field whose default changes between two runs is emptied in the browser alone."""
COLUMNS = {"right": "correct", "seen": "in_training", "source": "mask_source"}
"""Fields whose column has another name."""
VERDICTS = {
    "unreviewed": "No verdict",
    "reviewed": "Any verdict",
    "flag": "Flagged",
    "keep": "Kept",
    "unsure": "Unsure",
}
VERDICTS_SHOWN = VERDICTS | {NOT_MINE: capital(NOT_MINE)}
SPAN_ORDER = ("attention_score", "reliance_probability", "reliance", "loss", "confidence")
MALFORMED_SPANS = "The ranges of scores in the URL cannot be read: {text}. Clear them, or draw them again."


@dataclass(frozen=True)
class View:
    """What a gallery shows: which rows, in which order, from where.

    Attributes:
        tools: the place right of what is set, for more controls.
        above, body: the places between controls and cards, and of the cards themselves.
    """

    filters: Filters
    order: str
    size: int
    offset: int
    tools: DeltaGenerator = field(default_factory=st.container, compare=False)
    above: DeltaGenerator = field(default_factory=st.container, compare=False)
    body: DeltaGenerator = field(default_factory=st.container, compare=False)

    def rows(self, table: Table) -> pd.DataFrame:
        """The rows of the page, as `Table.page` gives them."""
        return table.page(self.filters, self.order, self.size, self.offset)


def filter_bar(
    table: Table, key: str, run: Run, *, orders: Sequence[str] = tuple(ORDERS), rail: DeltaGenerator | None = None
) -> View:
    """What is set and the order in a row above the cards, the pages below them, all of it in the URL.

    What this session's reviewer has judged can be left out.

    Args:
        key: names the list; its fields are `{key}_label` and so on.
        rail: where the filters stand with their counts; the sidebar, where none is given.
    """
    tools = st.container(key=f"{key}_tools", horizontal=True, vertical_alignment="center", gap="small")
    above, body, pages = (
        st.container(),
        st.container(),
        st.container(key=f"{key}_pages", horizontal=True, vertical_alignment="bottom"),
    )
    filters = _rail(table, key, run, rail or st.sidebar.container())
    total = table.count(filters)
    with tools:
        st.caption(f"{total:,} images", width="content")
        _chips(key, filters, run.words)
        more = st.container(horizontal=True, vertical_alignment="center", key=f"{key}_more")
    with more:
        order = st.selectbox("Order", orders, key=f"{key}_order", bind="query-params", width=205, help=ORDER_HINT)
    number, size = _pages(pages, key, total, (filters, order))
    return View(filters, order, size, (number - 1) * size, more, above, body)


def shown_words(view: View) -> str:
    """The images of a view in words, as in "shown by this filter"."""
    return "shown by this filter" if view.filters.images is None else "selected in the chart"


ORDER_HINT = (
    "Evidence: confirmed leaks first, the strongest in front. Uncertainty: those nearest to another assessment at the "
    "present thresholds. Attention, reliance, loss, confidence: the largest first."
)


def _rail(table: Table, key: str, run: Run, place: DeltaGenerator) -> Filters:
    """The filters with their counts, and a way to set all of them free."""
    with place:
        with st.container(horizontal=True, vertical_alignment="center", key=f"{key}_rail"):
            st.subheader("Filters", anchor=False)
            st.button("Clear all", key=f"{key}_clear_all", type="tertiary", on_click=_clear_all, args=(key,))
        text = _text(f"File or {run.words.group}", f"{key}_text", "part of a name").strip()
        panel = st.container()
        with st.container(key=f"fields_{key}"):
            chosen = _chosen(table, key, run, text)
        with panel:
            facets(_sections(table, key, run, chosen), f"{key}_facets", lambda name, value: _choose(key, name, value))
    selected = _selected(run, table, _region(key))
    return chosen if selected is None else Filters(images=selected)


def choose(table: Table, key: str, run: Run, place: DeltaGenerator) -> Filters:
    """The filters, in a popover at `place`; below it, what is set, in words."""
    with place.popover("Filters", icon=":material/filter_alt:", key=f"{key}_filters"):
        text = _text(f"File or {run.words.group}", f"{key}_text", "part of a name").strip()
        chosen = _chosen(table, key, run, text)
    images = _selected(run, table, _region(key))
    if images is not None:
        _say_selection(key, images)
        return Filters(images=images)
    if words := [word for word, *_ in _set(key, run.words)]:
        st.caption("Filtered by " + " · ".join(map(plain, words)))
    return chosen


def _chosen(table: Table, key: str, run: Run, text: str) -> Filters:
    """The fields of a list and the filter that they make, apart from a selection in a chart."""
    species = _several(capital(run.words.label), table.names("label"), f"{key}_label")
    predicted = _several("Predicted", table.names("predicted"), f"{key}_predicted")
    verdict = _several("Assessment", ASSESSMENTS, f"{key}_assessment", DEFAULT_VERDICTS.get(key, ()), WORDS)
    review = _choice("Verdict", (*REVIEW_STATES, NOT_MINE), f"{key}_review")
    right = _choice("Prediction", list(RIGHTNESS), f"{key}_right")
    seen = _choice("The network", list(SEEN), f"{key}_seen")
    source = _several("Mask from", table.names("mask_source"), f"{key}_source")
    group = _text(capital(run.words.group), f"{key}_group", "whole name").strip()
    spans = _text("Ranges of scores", f"{key}_spans", "drawn on the histograms")
    _text("Selection in a chart", f"{key}_region", "drawn in a chart")
    return Filters(
        labels=species,
        predicted=predicted,
        assessments=verdict,
        review=None if review == NOT_MINE else review,
        without=tuple(reviewer_progress.reviewed(run)["image"]) if review == NOT_MINE else (),
        correct=RIGHTNESS.get(str(right)),
        in_training=SEEN.get(str(seen)),
        mask_sources=source,
        groups=(group,) if group else (),
        spans=_spans(spans),
        text=text,
    )


def _region(key: str) -> str:
    return str(fields.value(f"{key}_region", "")).strip()


def _sections(table: Table, key: str, run: Run, filters: Filters) -> list[Choices | Range]:
    """What the panel offers, the subject of the page first."""
    known, words = table.facets(filters), run.words
    reviews = known.counts["review"]
    any_verdict = sum(images for name, images in reviews.items() if name != "unreviewed")
    verdicts = {name: reviews.get(name, 0) for name in VERDICTS} | {"reviewed": any_verdict}
    mine = {NOT_MINE: table.count(replace(filters, review=None, without=_mine(run)))} if _mine(run) else {}
    ranges = [
        Range(name, _title(name, words), known.spreads[name], _bounds(filters, name), name in SPAN_ORDER[:2])
        for name in SPAN_ORDER
        if name in known.spreads and not (name == "reliance" and "reliance_probability" in known.spreads)
    ]
    return [
        _choices(
            key, "assessment", "Assessment", {name: known.counts["assessment"].get(name, 0) for name in ASSESSMENTS}
        ),
        Choices("review", "Verdict", verdicts | mine, _now(key, "review"), VERDICTS_SHOWN, several=False, is_open=True),
        _choices(key, "label", capital(words.label), known.counts["label"]),
        *ranges,
        _choices(key, "predicted", "Predicted", known.counts["predicted"]),
        _of_two(key, "right", "Prediction", RIGHTNESS, known),
        _of_two(key, "seen", "The network has", SEEN, known),
        Choices("group", capital(words.group), known.counts["group"], _now(key, "group"), {}, several=False),
        _choices(key, "source", "Mask from", known.counts["mask_source"]),
    ]


def _mine(run: Run) -> tuple[str, ...]:
    return tuple(reviewer_progress.reviewed(run)["image"])


def _choices(key: str, name: str, title: str, counts: Mapping[str, int]) -> Choices:
    """A section of several values; those that are chosen stand in it though no image has them."""
    chosen = _now(key, name)
    every = dict(counts) | {value: 0 for value in chosen if value not in counts}
    if name == "assessment":
        every = {value: images for value, images in every.items() if images or value in chosen}
    return Choices(name, title, every, chosen, WORDS if name == "assessment" else {}, is_open=name in OPEN)


OPEN = ("assessment", "label")


def _of_two(key: str, name: str, title: str, words: Mapping[str, bool], known: Facets) -> Choices:
    counts = known.counts[COLUMNS[name]]
    shown = {word: counts.get(str(flag).lower(), 0) for word, flag in words.items()}
    return Choices(name, title, shown, _now(key, name), {}, several=False)


def _now(key: str, name: str) -> list[str]:
    """What is chosen in the field `name` of a list, always as a list."""
    value = fields.value(f"{key}_{name}")
    if name == "assessment" and set(value or ()) == set(ASSESSMENTS):
        return []
    return [value] if isinstance(value, str) and value else list(value or ())


def _field(key: str, name: str, value: Any) -> dict[str, Any]:
    """A field of a list with its value. Where no assessment is chosen but some are by default, all of them are.

    The address of a field that Python empties looks as if nobody had touched it, which stands for the default.
    """
    is_free = name == "assessment" and not value and key in DEFAULT_VERDICTS
    return {f"{key}_{name}": list(ASSESSMENTS) if is_free else value}


def _title(score: str, words: Words) -> str:
    named = {
        "reliance_probability": f"Relies on the {words.background}",
        "reliance": f"Relies on the {words.background}",
    }
    return named.get(score, capital(score.replace("_", " ")))


def _bounds(filters: Filters, score: str) -> Bounds:
    return next(((span.low, span.high) for span in filters.spans if span.score == score), ANY)


def _choose(key: str, name: str, value: Any) -> None:
    """The callback of the panel: what was chosen there becomes the value of the field of the list."""
    if name not in SCORES:
        fields.set_values(**_field(key, name, value if name != "group" else value or ""))
        return
    spans = [span for span in _spans(str(fields.value(f"{key}_spans", ""))) if span.score != name]
    fields.set_values(**{f"{key}_spans": _spans_text([*spans, Span(name, *value)])})


def _spans(text: str) -> tuple[Span, ...]:
    """`loss:0.5:;attention_score::1.2` as spans; what cannot be read is said, and filters nothing."""
    try:
        return tuple(_span(part) for part in text.split(";") if part.strip())
    except ValueError:
        st.warning(plain(MALFORMED_SPANS.format(text=text[:80])), icon=":material/select:")
        return ()


def _span(text: str) -> Span:
    score, low, high = (part.strip() for part in text.split(":"))
    if score not in SCORES:
        raise ValueError(score)
    bounds = tuple(float(end) if end else None for end in (low, high))
    if any(end != end for end in bounds):
        raise ValueError(text)
    return Span(score, *bounds)


def _spans_text(spans: Sequence[Span]) -> str:
    ends = [(span.score, *("" if end is None else short(end, 4) for end in (span.low, span.high))) for span in spans]
    return ";".join(":".join(parts) for parts in ends if any(parts[1:]))


def _chips(key: str, filters: Filters, words: Words) -> None:
    """What is set, each with a way to take it back."""
    with st.container(horizontal=True, gap="xxsmall", vertical_alignment="center", key=f"{key}_chips"):
        if filters.images is not None:
            _say_selection(key, filters.images)
            return
        for number, (word, name, value) in enumerate(_set(key, words)):
            st.button(
                f"{plain(word)}\u2002✕",
                key=f"{key}_chip_{number}",
                help="No longer filter by this",
                on_click=fields.set_values,
                kwargs=_field(key, name, value),
            )


def _set(key: str, words: Words) -> list[tuple[str, str, FieldValue]]:
    """What is set, in words, each with the name of its field and the value of that without it."""
    chips: list[tuple[str, str, FieldValue]] = []
    for name, shown in (("assessment", "{}"), ("label", "{}"), ("predicted", "predicted {}"), ("source", "mask: {}")):
        chosen = _now(key, name)
        chips += [
            (shown.format(WORDS.get(value, value)), name, [other for other in chosen if other != value])
            for value in chosen
        ]
    for name in ("review", "right", "seen", "group", "text"):
        chips += [
            (f"“{value}”" if name == "text" else VERDICTS_SHOWN.get(value, value), name, EMPTY[name])
            for value in _now(key, name)
        ]
    with suppress(ValueError):
        spans = [_span(part) for part in "".join(_now(key, "spans")).split(";") if part.strip()]
        for span in spans:
            rest = _spans_text([other for other in spans if other is not span])
            chips.append((f"{_title(span.score, words)} {_span_words(span)}", "spans", rest))
    return chips


def _span_words(span: Span) -> str:
    low, high = (None if end is None else short(end, 2) for end in (span.low, span.high))
    if low is None or high is None:
        return f"from {low}" if high is None else f"below {high}"
    return f"{low} to {high}"


def _clear_all(key: str) -> None:
    for name, value in EMPTY.items():
        fields.set_values(**_field(key, name, value))


def handed_on(key: str | None, target: str) -> dict[str, FieldValue]:
    """The fields of the list `key` as those of the list `target`; without a key, empty ones."""
    values = dict(EMPTY) | {"assessment": list(DEFAULT_VERDICTS.get(key or "", ()))}
    if key:
        values = {name: fields.value(f"{key}_{name}", value) for name, value in values.items()}
    return {f"{target}_{name}": value for name, value in values.items()}


def _pages(place: DeltaGenerator, key: str, total: int, chosen: tuple[object, ...]) -> tuple[int, int]:
    """Page and size, below the cards; other filters, another order or another size start at the first page again."""
    with place:
        before = st.container(width="content")
        middle, after = st.container(width=150), st.container(width="content")
        size = st.selectbox("Per page", PAGE_SIZES, key=f"{key}_size", bind="query-params", width=110)
    pages = max(1, -(-total // size))
    at = page_number.keep_within(key, pages, (*chosen, size))
    number = int(middle.number_input(f"Page of {pages:,}", 1, pages, key=at, bind="query-params"))
    for name, arrow, goal, spot in (
        ("Previous", "chevron_left", number - 1, before),
        ("Next", "chevron_right", number + 1, after),
    ):
        spot.button(
            f"{name} page",
            key=f"{key}_{name.lower()}",
            icon=f":material/{arrow}:",
            disabled=not 1 <= goal <= pages,
            on_click=fields.set_values,
            kwargs={at: goal},
        )
    return number, size


def _selected(run: Run, table: Table, region: str) -> tuple[str, ...] | None:
    """The images of a selection in a chart; None where there is none, or none that can be read, which is said."""
    if not region:
        return None
    try:
        return chart_selection.images_in(region, places.places_of(run, table))
    except DatasetError as error:
        st.warning(plain(str(error)), icon=":material/select:")
        return None


def _say_selection(key: str, images: Sequence[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Selected in the chart: {len(images):,} images, whatever the other filters say.")
        st.button("Clear the selection", key=f"{key}_clear", type="tertiary", on_click=_clear, args=(f"{key}_region",))


def _clear(field: str) -> None:
    fields.set_values(**{field: ""})


def _several(
    label: str, names: Sequence[str], key: str, default: Sequence[str] = (), words: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    shown = words or {}
    return tuple(
        st.multiselect(
            label,
            names,
            default=list(default) or None,
            key=key,
            bind="query-params",
            placeholder="any",
            format_func=lambda name: shown.get(name, name),
        )
    )


def _choice(label: str, names: Sequence[str], key: str) -> str | None:
    return st.selectbox(label, names, index=None, placeholder="any", key=key, bind="query-params")


def _text(label: str, key: str, placeholder: str) -> str:
    return st.text_input(label, key=key, bind="query-params", placeholder=placeholder)
