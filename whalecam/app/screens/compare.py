"""The Compare page's own pieces: which runs, what tells them apart, and the images that changed."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from whalecam.analysis.compare import METRICS, Comparison, Difference, earlier_first, parent_of, seem_comparable
from whalecam.analysis.compare.sentence import IN_WORDS, amount, changed_images, leaks_sentence, sentence, write_csv
from whalecam.app.charts.audit_charts import WORDS
from whalecam.app.components.canvas import Layer, heat_canvas
from whalecam.app.screens import reliance_panel
from whalecam.app.shell.page_frame import plain
from whalecam.app.state import comparison_cache, image_cache, session
from whalecam.app.widgets import review_controls
from whalecam.errors import DatasetError
from whalecam.store.run import Run, is_audited
from whalecam.store.table import ImageRow
from whalecam.text import PERCENT_COLUMN, number, percent, points
from whalecam.words import Words, capital

LISTS = {"got_worse": "Got worse", "got_better": "Got better", "changed_assessment": "Changed assessment"}
TOP = ("confirmed_leak", "swapped_accuracy", "accuracy", "worst_label_accuracy", "loss")
LESS = -1
MOST = 1000
"""Rows of the list that a browser is sent."""
BOXES = {
    "gone": (st.success, ":material/check_circle:"),
    "fewer": (st.warning, ":material/trending_down:"),
    "left": (st.warning, ":material/warning:"),
    "new": (st.error, ":material/error:"),
}
"""How the page shows what became of the confirmed leaks."""


def choose(run: Run) -> list[str]:
    """The names of the runs to compare, the first being what the others are held against; else says what to do."""
    audited = [name for name, path in session.run_paths().items() if is_audited(path)]
    if len(audited) < 2:
        st.info(
            "A comparison needs two audited runs of one data set, such as one before and one after a remedy. "
            f"There {'is one' if audited else 'is none'} so far.",
            title="Audit a second run first",
            icon=":material/compare_arrows:",
        )
        st.page_link("pages/2_Model.py", label="Train and audit another run", icon=":material/arrow_forward:")
        st.stop()
    start = _alike(run, audited)
    names = st.multiselect(
        "Runs, the one before the change first",
        audited,
        default=start,
        key="compared",
        bind="query-params",
        help="Every other run is compared with the first, on the images that all of them audited.",
    )
    if len(names) < 2:
        alone = f"No other audited run seems to share an image with {plain(run.name)}. "
        st.info(f"{'' if start else alone}Choose two runs or more.", icon=":material/compare_arrows:")
        st.stop()
    return list(names)


def _alike(run: Run, audited: Sequence[str]) -> list[str]:
    """This run and one that it can be compared with: the parent of its last layer, else the newest; the earlier first.

    Empty where there is no such run.
    """
    if run.name not in audited:
        return []
    others, parent = [session.open_named(name) for name in audited if name != run.name], parent_of(run)
    parents = [other for other in others if parent and other.manifest.model_sha256 == parent]
    partner = next((other for other in (*parents, *others) if seem_comparable(run, other)), None)
    return [] if partner is None else [chosen.name for chosen in earlier_first(run, partner)]


def comparison(names: Sequence[str]) -> Comparison:
    """The comparison at this session's thresholds, made anew when a table or a journal changed."""
    return comparison_cache.comparison([session.open_named(name) for name in names])


def choose_later(comparison: Comparison) -> str:
    """Which run is held against the first."""
    if len(comparison.names) == 2:
        return comparison.names[1]
    options = comparison.names[1:]
    chosen = st.segmented_control("Compared with the first", options, default=options[0], key="later", required=True)
    return str(chosen)


def say(comparison: Comparison, later: str) -> None:
    """What became of the leaks, the plain sentence, and the notes."""
    if leaks := leaks_sentence(comparison, later):
        box, icon = BOXES.get(comparison.leaks[later].state, (st.info, ":material/info:"))
        box(plain(leaks), icon=icon)
    st.markdown(plain(sentence(comparison, later)))
    notes = " ".join(comparison.notes) or "All images are shared, and new to both networks."
    st.caption(plain(f"{len(comparison.unseen):,} images shared. {notes}"))


def show_metrics(comparison: Comparison, later: str) -> None:
    """The figures that matter as cards, and all of them as a table to open."""
    by_metric = {difference.metric: difference for difference in comparison.differences[later]}
    with st.container(horizontal=True):
        for name in TOP:
            _card(by_metric[name], comparison.words)
    with st.expander("All figures, with intervals"):
        st.dataframe(
            pd.DataFrame([_line(difference, comparison.words) for difference in by_metric.values()]), hide_index=True
        )
        st.caption(
            f"95\u00a0% intervals of the difference: bootstrap over {comparison.words.groups}, the same for both runs. "
            "p tells whether these two networks differ: McNemar's exact test for accuracy, else a permutation test "
            f"that swaps the two runs, all images of each {comparison.words.group} together. The corrected p tells "
            "whether the two ways of training differ: it adds the variance between seeds, as measured on twins of the "
            "demo, and corrects for all figures of the table (Holm)."
        )
        st.download_button(
            "Download every image as CSV", lambda: write_csv(comparison), "compare.csv", "text/csv", key="get_compare"
        )


def changed(comparison: Comparison, later: str, names: Sequence[str]) -> None:
    """The images that changed, as a list, and the chosen one under both runs' maps."""
    counts = comparison.counts[later]
    st.caption(" · ".join(f"**{counts[name]:,}** {words.lower()}" for name, words in LISTS.items()))
    which = str(
        st.segmented_control(
            "Which images",
            list(LISTS),
            default=next((name for name in LISTS if counts[name]), "got_worse"),
            key="change",
            bind="query-params",
            required=True,
            format_func=lambda name: LISTS[name],
        )
    )
    if not counts[which]:
        st.info(f"No image is among “{LISTS[which].lower()}”.", icon=":material/check:")
        return
    listed = comparison.changed(later, which, MOST)
    if counts[which] > MOST:
        st.caption(f"The first {MOST:,} of {counts[which]:,} by name; the CSV of all figures has every image.")
    picked = st.dataframe(
        _words(changed_images(comparison, later, listed)),
        hide_index=True,
        column_config=dict.fromkeys(
            ("relies before", "relies after"), st.column_config.NumberColumn(format=PERCENT_COLUMN, width="small")
        ),
        height=240,
        key="changed_rows",
        on_select="rerun",
        selection_mode="single-row",
    )
    rows = picked["selection"]["rows"]
    image = listed[rows[0]] if rows and rows[0] < len(listed) else _linked(listed)
    st.query_params["picture"] = image
    st.markdown(f"**{plain(image)}**")
    pair(image, names[0], names[comparison.names.index(later)])


def pair(image: str, first: str, second: str) -> None:
    """One image twice, under both runs' evidence for what each predicted; the sidebar's sliders move both."""
    sides = [(name, session.open_named(name)) for name in (first, second)]
    rows = [session.table_of(run).row(image) for _, run in sides]
    shared = st.toggle("Both on one scale", True, key="one_scale", bind="query-params")
    layers = [_layer(run, row, None) for (_, run), row in zip(sides, rows, strict=True)]
    top = max((layer.top for layer in layers if layer), default=0.0)
    for place, column, (name, run), row in zip(("before", "after"), st.columns(2), sides, rows, strict=True):
        with column:
            st.markdown(f"**{plain(name)}** · {_words_of(row)}")
            layer = _layer(run, row, top if shared else None)
            try:
                uri = image_cache.image_uri(run, image)
            except DatasetError as error:
                st.warning(plain(str(error)), title="This image cannot be shown", icon=":material/broken_image:")
                continue
            caption = f"evidence for {row['predicted']}" if layer else "no map"
            heat_canvas(uri, layer, row["mask_bits"], caption, key=f"canvas_{place}", height=380)


def _card(difference: Difference, words: Words) -> None:
    metric = METRICS[difference.metric]
    change = points(difference.difference, 1) if metric.share else number(difference.difference, 3, signed=True)
    still = amount(difference.difference, metric.share) in (percent(0, 1), number(0, 3))
    st.metric(
        capital(metric.named(words)),
        f"{amount(difference.before, metric.share)} → {amount(difference.after, metric.share)}",
        f"{change}, {IN_WORDS[difference.verdict]}" if difference.p == difference.p else None,
        delta_color="off"
        if difference.verdict in ("none", "untested")
        else "inverse"
        if metric.better == LESS
        else "normal",
        delta_arrow="off" if still else "auto",
        help=f"{metric.explained(words)}; {difference.images:,} images",
        border=True,
    )


def _line(difference: Difference, words: Words) -> dict[str, Any]:
    metric = METRICS[difference.metric]
    return {
        "figure": metric.named(words),
        "images": difference.images,
        "before": amount(difference.before, metric.share),
        "after": amount(difference.after, metric.share),
        "difference": amount(difference.difference, metric.share, True),
        "95\u00a0% interval": " to ".join(amount(end, metric.share, True) for end in (difference.low, difference.high)),
        "p": difference.p,
        "p, seeds too": difference.reseeded,
        "corrected p": difference.corrected,
        "says": IN_WORDS[difference.verdict],
    }


def _words(frame: pd.DataFrame) -> pd.DataFrame:
    before, after = (frame[f"assessment_{side}"].map(WORDS) for side in ("before", "after"))
    return pd.DataFrame(
        {
            "image": frame["image"],
            "assessment": _way(before, after),
            "label": frame["label_before"],
            "predicted": _way(frame["predicted_before"].fillna("–"), frame["predicted_after"].fillna("–")),
            "relies before": 100 * frame["reliance_probability_before"],
            "relies after": 100 * frame["reliance_probability_after"],
        }
    )


def _way(before: "pd.Series[str]", after: "pd.Series[str]") -> "pd.Series[str]":
    """From one word to another, and the word alone where it stayed."""
    return before.where(before == after, before + " → " + after)


def _linked(images: Sequence[str]) -> str:
    """The image that the URL names, if it is in the list, else the first."""
    linked = str(st.query_params.get("picture", ""))
    return linked if linked in images else images[0]


def _layer(run: Run, row: ImageRow, top: float | None) -> Layer | None:
    resize = str(run.manifest.network.get("resize", "squish"))
    return review_controls.layer_of(row, row["maps"], run.manifest.classes, resize, top=top)


def _words_of(row: ImageRow) -> str:
    """What a run said of an image, in Markdown."""
    if row["predicted"] is None:
        return "not readable"
    right = ":green-badge[right]" if row["label"] == row["predicted"] else ":red-badge[wrong]"
    heat = f"attention {number(row['attention_score'])}" if row["attention_score"] is not None else "not assessable"
    words = " · ".join(filter(None, (heat, reliance_panel.strength(row))))
    return f"{plain(str(row['predicted']))} {percent(row['confidence'])} {right} · {words}"
