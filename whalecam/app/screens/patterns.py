"""The Patterns page's figures and its tabs on maps: strategies per species, the attention atlas, confused pairs."""

from collections.abc import Mapping

import numpy as np
import streamlit as st

from whalecam.analysis.patterns.atlas import Atlas, caption
from whalecam.analysis.patterns.pairs import Pair, confused_pairs
from whalecam.analysis.patterns.strategies import FEWEST, MOST, Strategy
from whalecam.app.components.gallery import Card, gallery
from whalecam.app.shell import jobs
from whalecam.app.shell.page_frame import plain
from whalecam.app.state import patterns_cache, pending, session
from whalecam.app.state.pending import ReviewAction
from whalecam.app.widgets import review_actions, review_controls
from whalecam.app.widgets.named_images import SHOWN, named_images
from whalecam.arrays import Progress, typed_records
from whalecam.store.run import Run
from whalecam.store.table import Filters, ListedRow, Overlay, Table
from whalecam.text import percent
from whalecam.words import Words, capital

UNSEEN = "Among the images that the network had not seen"
NO_MAPS = "No image here has a map of its predicted class."


def show_metrics(run: Run, table: Table) -> None:
    """What the tabs are about: images with maps, how many unseen ones are mistaken, and the most confused pair.

    Labels that the network does not know are no mistakes, as in the accuracy of the Overview.
    """
    predicted, unseen = table.confusion(unseen_only=False), table.confusion()
    has_maps = run.has_maps
    known = unseen[unseen["label"].isin(run.manifest.classes)]
    of, wrong = (int(rows["images"].sum()) for rows in (known, known[known["label"] != known["predicted"]]))
    with st.container(horizontal=True, key="patterns_figures"):
        st.metric("Images with a map", f"{predicted['images'].sum() if has_maps else 0:,}")
        st.metric(capital(run.words.labels), f"{predicted['label'].nunique():,}")
        st.metric(f"Taken for another {run.words.label}", f"{wrong:,} of {of:,}" if of else "–", help=UNSEEN)
        for pair in confused_pairs(unseen, most=1):
            counts, names = f"{pair.images:,} of {pair.of:,}", plain(f"{pair.first} ↔ {pair.second}")
            st.metric("Most confused pair", counts, names, delta_color="off", delta_arrow="off", help=UNSEEN)


def strategies(run: Run, table: Table) -> None:
    """Groups of images of a species that the network looks at alike, odd ones first, each flagged in one click."""
    species = st.selectbox(
        capital(run.words.label), _species(table), key="strategy_label", bind="query-params", width=260
    )
    groups = patterns_cache.strategies_of(run, species)
    st.caption(
        "Maps of the predicted class, compared by where their evidence lies. A small group far from the rest is a "
        f"strategy of its own: a copyright text, a boat, the horizon. Up to {MOST:,} images are compared."
    )
    review_actions.empty_words()
    if not groups:
        few = f"Fewer than {FEWEST} images of this {run.words.label} have a map, too few to compare."
        st.info(few, icon=":material/info:")
        return
    if all(group.usual for group in groups):
        st.success("The network looks at all of them in much the same way.", icon=":material/check_circle:")
    for number, group in enumerate(groups, 1):
        _group(run, table, f"{species}_{number}", group)
    with st.container(horizontal=True):
        st.button(
            "Undo", key="strategy_undo", icon=":material/undo:", help=review_controls.UNDO_HINT, on_click=_ask_undo
        )
    _carry_out(run)


def _species(table: Table) -> list[str]:
    """The species of images with maps, those with most images first."""
    counts = table.confusion(unseen_only=False).groupby("label")["images"].sum()
    return [str(name) for name in counts.sort_values(ascending=False, kind="stable").index]


def _group(run: Run, table: Table, key: str, group: Strategy) -> None:
    count = len(group.images)
    name = "The usual way" if group.usual else "An odd way"
    share = f", {percent(group.background_share)} of their evidence on {run.words.background}"
    wet = "" if np.isnan(group.background_share) else share
    far = (
        "" if group.usual else f"; {percent(group.apart)} of it lies elsewhere than the {run.words.label}'s as a whole"
    )
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{name}** · {count:,} images{wet}{far}")
            if not group.usual:
                _flagging(key, group, run.words)
        mean, images = st.columns([1, 5], gap="small")
        with mean:
            card = Card("mean", patterns_cache.heat_uri(group.mean), "Mean map", (f"of {count:,} images",))
            gallery([card], key=f"mean_{key}", selectable=False, openable=False, columns_min_px=110)
        with images:
            named_images(run, table, group.images, f"group_{key}")


def _flagging(key: str, group: Strategy, words: Words) -> None:
    with st.popover("Flag as a group", icon=":material/flag:", key=f"flag_{key}"):
        st.selectbox(
            "Reason",
            review_controls.reasons(words),
            index=None,
            key=review_actions.field_key(f"strategy_{key}", "reason"),
            placeholder="what they share",
        )
        st.text_input("Note", key=review_actions.field_key(f"strategy_{key}", "note"), max_chars=500)
        st.button(
            f"Flag all {len(group.images):,}",
            key=f"flag_all_{key}",
            type="primary",
            on_click=_ask_flag,
            args=(group.images, f"strategy_{key}"),
        )


def _ask_flag(images: tuple[str, ...], key: str) -> None:
    pending.GROUP_REVIEW.set(ReviewAction("flag", images, key))


def _ask_undo() -> None:
    pending.GROUP_REVIEW.set(ReviewAction("undo", (), "strategy"))


def _carry_out(run: Run) -> None:
    """Do what a button asked for, outside its callback, so that an error becomes a message on the page."""
    review_actions.say()
    if action := pending.GROUP_REVIEW.get():
        hand = review_actions.signer(run, action.bar)
        pending.GROUP_REVIEW.clear()
        if action.verdict == "undo":
            review_actions.step(hand, "undo")
        else:
            review_actions.decide(hand, action.images, "flag")


def atlas(run: Run, table: Table) -> None:
    """Per species where the evidence lies, in the coordinates of the animal's box."""
    cards = []
    for species, mean_map in _atlases(run, _species(table)).items():
        if mean_map.images:
            lines = (f"{mean_map.images:,} image{'' if mean_map.images == 1 else 's'}", *caption(mean_map, run.words))
            uri = patterns_cache.heat_uri(mean_map.mean, boxed=True)
            cards.append(Card(species, uri, species, lines, tooltip=", ".join(lines)))
    if not cards:
        st.info(f"{NO_MAPS} Audit with masks or boxes.", icon=":material/info:")
        return
    st.caption(
        f"Maps of the predicted class laid over one another so that the {run.words.subjects}' boxes (white) coincide; "
        "each map is "
        "divided by its own average, the brightest part of each square is full colour. Grey: beyond all images."
    )
    gallery(cards, key="atlas", selectable=False, openable=False, columns_min_px=230)


def _atlases(run: Run, species: list[str]) -> dict[str, Atlas]:
    """The atlases, behind a bar that says how far their making is."""
    place, pace = st.empty(), jobs.Pace()

    def show(now: Progress) -> None:
        text = f"Laying maps over one another … {now.done:,} of {now.total:,} parts · {pace.left_after(now)}"
        place.progress(now.done / now.total, text=text)

    atlases = patterns_cache.atlases_of(run, species, show)
    place.empty()
    return atlases


def pairs(run: Run, table: Table) -> None:
    """Two species that are taken for one another, and what speaks for either in the same images."""
    confused = confused_pairs(table.confusion())
    if not confused:
        st.success(
            f"No two {run.words.labels} are taken for one another more than once.", icon=":material/check_circle:"
        )
        return
    labels = {f"{pair.first} ↔ {pair.second}": pair for pair in confused}
    name = st.selectbox("Pair", list(labels), key="pair", bind="query-params", width=420)
    pair = labels[str(name)]
    st.caption(
        f"{pair.images:,} of {pair.of:,} images of the two that the network had not seen are taken for the other. "
        "Left: what speaks for the prediction against the label; right: the same images, the label against it."
    )
    for label, predicted in ((pair.first, pair.second), (pair.second, pair.first)):
        _confused_images(run, table, pair, label, predicted)


def _confused_images(run: Run, table: Table, pair: Pair, label: str, predicted: str) -> None:
    wanted = Filters(labels=(label,), predicted=(predicted,), in_training=False)
    rows = table.page(wanted, "confidence", SHOWN)
    if rows.empty:
        return
    st.markdown(f"**{plain(label)}** taken for **{plain(predicted)}** · {table.count(wanted):,}")
    overlays = table.overlays_of(rows["image"].tolist())
    for column, (of, against) in zip(
        st.columns(2, gap="medium"), ((predicted, label), (label, predicted)), strict=True
    ):
        with column:
            st.caption(plain(f"{of} against {against}"))
            cards = [_card(run, row, overlays, of, against) for row in typed_records(rows, ListedRow)]
            event = gallery(cards, key=f"pair_{label}_{of}", selectable=False, columns_min_px=110)
        if event.opened:
            review_controls.open_image(event.opened)


def _card(run: Run, row: ListedRow, overlays: Mapping[str, Overlay], of: str, against: str) -> Card:
    overlay = overlays[row["image"]]
    resize = str(run.manifest.network.get("resize", "squish"))
    layer = review_controls.layer_of(
        row, overlay.maps, run.manifest.classes, resize, kind="versus", of=of, against=against
    )
    lines = (f"{percent(row['confidence'])} sure",)
    return Card(
        row["image"],
        session.thumb_uri(run, row["image"]),
        row["image"],
        lines,
        layer=layer,
        mask_bits=overlay.mask_bits,
    )
