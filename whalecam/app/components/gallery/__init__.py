"""A grid of cards: images with their heat, their verdict and their review; selected, opened and judged in place."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypedDict

import streamlit as st

from whalecam.app.charts.audit_charts import COLOURS, SHAPES, WORDS
from whalecam.app.components.assets import module, text
from whalecam.app.components.canvas import Layer, colour_tables, packed_layer, text64
from whalecam.app.state import events, fields
from whalecam.config import MASK_GRID

_component = st.components.v2.component(
    "whalecam_gallery",
    html='<div class="gallery"></div>',
    css=text("shared/marks.css") + text("gallery/gallery.css"),
    js=module("gallery/gallery.js"),
)


@dataclass(frozen=True)
class Card:
    """One image of a gallery. All texts are shown as they are, never as markup.

    Attributes:
        image: name of the image; what events speak of.
        thumb_uri: its thumbnail as a data URI; None shows a tile that says it cannot be read.
        title: first line.
        lines: further lines.
        badge: automatic verdict, one of config.ASSESSMENTS; empty for none.
        carrier: what the assessment rests on, in words; shown behind it.
        review: a person's verdict, one of config.REVIEW_VERDICTS; empty for none.
        layer: the heat over the thumbnail.
        mask_bits: the mask of the whole image, MASK_GRID × MASK_GRID bits, packed; its outline is drawn.
        tooltip: shown on hover; for an image that cannot be read, the reason.
    """

    image: str
    thumb_uri: str | None
    title: str
    lines: tuple[str, ...] = ()
    badge: str = ""
    carrier: str = ""
    review: str = ""
    layer: Layer | None = None
    mask_bits: bytes | None = None
    tooltip: str = ""


class Outcome(TypedDict):
    """What the browser is to do after a verdict, once for each `id`.

    Where the `images` were `signed` by a button, it moves on to the next image; where a key was `refused`, it takes
    back that it has moved on.
    """

    id: str
    state: str
    images: list[str]


@dataclass(frozen=True)
class GalleryEvent:
    """What people did in a gallery since the last run.

    Attributes:
        opened: the image they want to see large.
        selected: the selected images in the order of the cards; with a `key`, those that the key was pressed for:
            the card with the focus, or the whole selection where that holds it or no card has the focus. They may
            stand on cards that are not shown any more.
        key: `flag`, `keep`, `unsure`, `undo` or `redo`; or the number of a reason for the next verdict, "1" and on.
    """

    opened: str | None = None
    selected: tuple[str, ...] = ()
    key: str | None = None


def gallery(
    cards: Sequence[Card],
    key: str,
    *,
    selectable: bool = True,
    current: str | None = None,
    columns_min_px: int = 150,
    openable: bool = True,
    outcome: Outcome | None = None,
    reasons: int = 0,
) -> GalleryEvent:
    """Show cards in a responsive grid.

    Args:
        cards: what to show, in order.
        selectable: click selects (shift-click a range), double click opens; else a click opens.
        current: the image marked as the one in view elsewhere.
        columns_min_px: smallest width of a card in CSS pixels.
        openable: whether images can be opened at all.
        outcome: what came of the last verdict.
        reasons: for how many there are keys, at most 9.
    """
    data = {
        "key": key,
        "inbox": events.inbox(key),
        "cards": [_packed(card) for card in cards],
        "tables": colour_tables() if any(card.layer for card in cards) else {},
        "selectable": selectable,
        "openable": openable,
        "current": current,
        "columns": columns_min_px,
        "maskGrid": MASK_GRID,
        "outcome": outcome,
        "reasons": reasons,
    }
    result = _component(
        key=key,
        data=data,
        on_selected_change=_nothing,
        on_did_change=events.noting(key),
    )
    names = tuple(dict.fromkeys(card.image for card in cards))
    events.show(key, names)
    return _event(names, events.seen(key), result.selected, events.take(key))


def late_event(key: str) -> GalleryEvent:
    """The event of a gallery that has lost its last card meanwhile."""
    events.show(key, ())
    return _event((), events.seen(key), (), events.take(key))


def selected_now(key: str) -> tuple[str, ...]:
    """What is selected in the gallery `key` at this moment, for the callback of a button."""
    return tuple(_known(events.seen(key), fields.component_state(key, "selected")))


def _event(names: Sequence[str], recent: Sequence[str], selected: Any, event: tuple[str, Any] | None) -> GalleryEvent:
    """What the browser sent, held against the cards that are shown now, or for verdicts were shown lately."""
    chosen = tuple(_known(names, selected))
    name, value = event or ("", None)
    if name == "opened":
        return GalleryEvent(next(_known(names, [value]), None), chosen)
    if name == "pressed" and isinstance(value, dict):
        return GalleryEvent(None, tuple(_known(recent, value.get("images"))), str(value.get("name")))
    return GalleryEvent(None, chosen)


def _known(names: Sequence[str], images: Any) -> Iterator[str]:
    wanted = set()
    with suppress(TypeError):
        wanted = set(images or ())
    return (name for name in names if name in wanted)


def _packed(card: Card) -> dict[str, object]:
    badge = {
        "word": ": ".join(filter(None, (WORDS.get(card.badge, card.badge), card.carrier))),
        "colour": COLOURS.get(card.badge, ""),
        "shape": SHAPES.get(card.badge, "circle"),
    }
    return {
        "image": card.image,
        "thumb": card.thumb_uri,
        "title": card.title,
        "lines": card.lines,
        "badge": badge if card.badge else None,
        "review": card.review,
        "layer": packed_layer(card.layer),
        "mask": text64(card.mask_bits) if card.mask_bits else None,
        "tooltip": card.tooltip,
    }


def _nothing() -> None:
    """The callback that makes Streamlit list a state in a component's result."""
