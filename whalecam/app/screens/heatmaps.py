"""One image large: which map, how it is scaled, its numbers, its neighbours."""

import base64
import functools
import html
from collections.abc import Sequence
from typing import NoReturn, TypedDict

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from whalecam.analysis.cues import CueFinding, cue_title
from whalecam.analysis.token_caution import row_sentence
from whalecam.app.charts.audit_charts import PROPERTIES, WORDS
from whalecam.app.components.canvas import Sides, heat_canvas
from whalecam.app.components.canvas.drawing import CutRequest, Saved
from whalecam.app.screens import mask_panel
from whalecam.app.shell.marks import mark
from whalecam.app.shell.page_frame import errors_shown, plain
from whalecam.app.state import cues_cache, fields, image_cache, image_in_view, mask_answers, session
from whalecam.app.widgets import queue, review_actions, review_controls
from whalecam.app.widgets.row_choice import choosing_table
from whalecam.app.widgets.signer import Signer
from whalecam.assessment.meanings import meaning
from whalecam.config import OTHER
from whalecam.errors import DatasetError
from whalecam.store.run import Run
from whalecam.store.table import Filters, ImageRow, Queue, Table
from whalecam.text import PERCENT_COLUMN, number, percent, scientific
from whalecam.words import Words, capital

CHOICES = ("predicted", "actual", "one class", "A versus B")
DROPS = {"color": PROPERTIES["color"], "swap": "all of it"}
"""Words for the edits of the water whose names do not say what they change."""
KINDS = {
    "relative": "this class against the average of all classes",
    "raw": "this class alone, with the part all classes share",
}
SCALES = ("this image", "whole run")
SUGGESTED = 4
"""Names that are listed where a part of a name fits several."""
BLANK = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='640' height='64'/%3E"
HELP = (
    "n j → next · p ← previous · f flag · k keep · u unsure · 1 to 8 reason · s skip · z undo · y redo · "
    "m correct the mask · h heat on or off, held down: for that long · c side by side · + − zoom · 0 fit"
)


def choose_image(line: Queue, table: Table) -> str:
    """The image in view, from the URL, from another page, or the first of the queue; a part of one name is enough.

    What is no name ends the page, with names that are meant perhaps.
    """
    first = queue.start(line)
    image_in_view.fill_in(first)
    hint = "As in the CSV, or a part of it. Arrow keys move on."
    given = str(st.text_input("File name", key="image", bind="query-params", help=hint)).strip()
    if given and given not in line.line and not table.known([given]):
        _meant(given, table, first)
    return given


def _meant(given: str, table: Table, first: str) -> NoReturn:
    """Show the only image whose name contains what was typed, else offer some; the page ends here."""
    similar = [name for name in table.images(Filters(text=given), "name") if given.lower() in name.lower()]
    if len(similar) == 1:
        queue.go(similar[0])
        st.rerun()
    _suggest(given, similar, table.alike(given, SUGGESTED), first)
    st.stop()


def _suggest(given: str, similar: Sequence[str], alike: Sequence[str], first: str) -> None:
    """That there is no such image, and ways to those that may be meant, else to the first of the queue."""
    names = (similar or alike)[:SUGGESTED]
    more = ", …" if len(similar) > SUGGESTED else ""
    kind = "Names that contain it" if similar else "Names like it"
    listed = f" {kind}: {', '.join(names)}{more}" if names else " Type a part of a name of this run."
    st.error(plain(f"This run has no row for '{given}'.{listed}"), icon=":material/image_search:")
    with st.container(horizontal=True):
        for place, name in enumerate(names or filter(None, [first])):
            st.button(f"Show {plain(name)}", key=f"suggested_{place}", on_click=queue.go, args=(name,))


class View(TypedDict):
    """What the canvas shows: a contrast of the maps `of` a class, `against` another, at a scale."""

    kind: str
    of: str | None
    against: str | None
    scale: str


def choose_view(run: Run, row: ImageRow) -> View:
    """Class, contrast and scale from the sidebar; without maps there is nothing to choose."""
    if not run.has_maps:
        return {"kind": "relative", "of": row["predicted"], "against": None, "scale": SCALES[0]}
    classes = list(run.manifest.classes)
    with st.sidebar:
        st.subheader("Class")
        choice = st.selectbox("Show the evidence for", CHOICES, key="show", bind="query-params")
        of = {"predicted": row["predicted"], "actual": row["label"]}.get(choice)
        against = None
        _first_classes(row, classes)
        if choice in ("one class", "A versus B"):
            of = st.selectbox("Class A", classes, key="class_a", bind="query-params")
        if choice == "A versus B":
            rest = [name for name in classes if name != of]
            against = st.selectbox("Class B", rest, key="class_b", bind="query-params")
            kind = "versus"
        else:
            kind = st.selectbox(
                "Contrast",
                list(KINDS),
                key="contrast",
                bind="query-params",
                help="; ".join(map(": ".join, KINDS.items())),
            )
        scale = st.selectbox("Scale", SCALES, key="scale", bind="query-params")
    return {"kind": kind, "of": of, "against": against, "scale": scale}


def _first_classes(row: ImageRow, classes: list[str]) -> None:
    """Where nobody has chosen classes, A is the predicted one; B is the actual one, or the runner-up if that is A."""
    if row["predicted"] not in classes or row["logits"] is None:
        return
    if fields.shared_value("class_a") is None:
        fields.set_values(class_a=row["predicted"])
    others = [name for name in classes if name != fields.shared_value("class_a")]
    if fields.shared_value("class_b") is None and others:
        logits = dict(zip(classes, row["logits"], strict=True))
        fields.set_values(
            class_b=row["label"] if row["label"] in others else max(others, key=lambda name: logits[name])
        )


def show_canvas(
    run: Run, table: Table, row: ImageRow, view: View, *, is_blind: bool = False
) -> str | Saved | CutRequest | None:
    """The photograph under its heat. Returns what was done on it, as `heat_canvas` does.

    Args:
        is_blind: whether scores are hidden, and with them what stands beside the image.
    """
    top = table.top() if view["scale"] == "whole run" else None
    resize = str(run.manifest.network.get("resize", "squish"))
    layer = review_controls.layer_of(
        row,
        row["maps"],
        run.manifest.classes,
        resize,
        kind=view["kind"],
        of=view["of"],
        against=view["against"],
        top=top,
    )
    if view["of"] not in run.manifest.classes:
        st.info(
            f"The network does not know the class “{plain(str(view['of']))}”, so there is no map for it.",
            icon=":material/info:",
        )
    try:
        uri = image_cache.image_uri(run, str(row["image"]))
    except DatasetError as error:
        st.warning(plain(f"{error}."), title="This image cannot be shown", icon=":material/broken_image:")
        return heat_canvas(BLANK, None, None, "no image", key="canvas")  # so that keys lead on
    versus = f" versus {view['against']}" if view["against"] else ""
    caption = f"evidence for {view['of']}{versus}" if layer else "no map"
    drawing, answer = mask_panel.drawing_of(run, row), mask_answers.latest()
    sides = None if is_blind else sides_of(row, table.row(str(row["image"]))["review"], run.words.background)
    reasons = len(review_controls.reasons(run.words))
    return heat_canvas(
        uri,
        layer,
        row["mask_bits"],
        caption,
        key="canvas",
        fills=True,
        drawing=drawing,
        answer=answer,
        sides=sides,
        reasons=reasons,
    )


def sides_of(row: ImageRow, verdict: str | None, background: str) -> Sides:
    """What stands beside the image under its heat: the image as it is and, if it was tested, on a changed background.

    Args:
        verdict: the latest of a person.
    """
    title = f"{row['image']} · {row['label']}, predicted {row['predicted']}"
    words = f"verdict: {verdict}" if verdict else "no verdict yet"
    if row["reliance_image"] is None:
        return Sides(title, "as it is; no changed background is kept of it", verdict=words)
    plain_words, changed = _tested_words(row, background)
    return Sides(title, plain_words, _edited(row["reliance_image"]), changed, words)


def _edited(image: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(image).decode()


def _tested_words(row: ImageRow, background: str) -> tuple[str, str]:
    """Under the image as it is, and under that on a changed background; as they are, not as markup."""
    changed = f"{_edit_words(row, background)} {row['reliance_donor']}: {percent(row['reliance_after'])}"
    return f"as it is: {percent(row['reliance_before'])}", changed


@st.fragment
def review(run: Run, row: ImageRow, view: View, line: Queue) -> None:
    """The photograph, the verdict on it, what people said of it and how far the reviewer is in the queue `line`.

    A verdict draws these anew and nothing else.
    """
    image = str(row["image"])
    with errors_shown(), session.drawing_verdicts():
        review_actions.empty_words()
        hand = review_actions.signer(run, "one")
        queue.progress(run, line)
        pressed = show_canvas(run, session.table_of(run), row, view, is_blind=bool(line.controls))
        if isinstance(pressed, Saved | CutRequest):
            mask_panel.act_on_drawing(run, row, pressed, hand.reviewer)
        else:
            act_on_key(run, hand, pressed=pressed, image=image, line=line)
        review_controls.review_bar(run, (image,), "one", following=queue.next_of(line, image))
        history = session.journal_of(run).history(image)
        if len(history):
            st.caption("Reviews of this image")
            st.dataframe(history, hide_index=True, height=140)
        mask_panel.history(run, row, hand.reviewer)


def class_table(run: Run, row: ImageRow) -> pd.DataFrame:
    """Every class with logit, probability in percent and the evidence its map holds, largest logit first."""
    if row["logits"] is None or row["maps"] is None:
        return pd.DataFrame()
    logits = np.asarray(row["logits"], float)
    p = np.exp(logits - logits.max())
    evidence = np.asarray(row["maps"], float).sum(axis=(1, 2))
    frame = pd.DataFrame(
        {"class": run.manifest.classes, "probability": 100 * p / p.sum(), "logit": logits, "evidence": evidence}
    )
    frame["bias"] = frame["logit"] - frame["evidence"]
    return frame.sort_values("logit", ascending=False, ignore_index=True)


def classes(run: Run, row: ImageRow) -> None:
    """The table of classes; a click on a row shows the evidence for that class."""
    frame = class_table(run, row)
    if frame.empty:
        return
    look = {
        "probability": st.column_config.ProgressColumn(format=PERCENT_COLUMN, min_value=0, max_value=100),
        "logit": st.column_config.NumberColumn(format="%.2f"),
        "evidence": st.column_config.NumberColumn(format="%.2f", help="Sum of the map; with the bias, the logit"),
        "bias": st.column_config.NumberColumn(format="%.2f"),
    }
    choose = functools.partial(_show_class, tuple(frame["class"]))
    choosing_table(frame, f"classes~{row['image']}", choose, look=look, height=320)
    st.caption("A click before a row shows the evidence for its class.")


def _show_class(names: tuple[str, ...], at: int | None) -> None:
    if at is None:
        fields.set_values(show=CHOICES[0])
    else:
        fields.set_values(show="one class", class_a=names[at])


def facts(run: Run, row: ImageRow) -> None:
    """Actual, predicted, loss, scores, assessment, exactness and completeness error of one image."""
    right = row["label"] == row["predicted"]
    seen = " :orange-badge[trained on this image]" if row["in_training"] else ""
    with st.container(border=True):
        st.markdown(
            f"**{plain(str(row['label']))}** · predicted **{plain(str(row['predicted']))}** "
            f"{':green-badge[right]' if right else ':red-badge[wrong]'}{seen}"
        )
        with st.container(horizontal=True):
            st.metric("Probability", percent(row["confidence"]))
            st.metric("Loss", number(row["loss"]))
            st.metric(
                f"Evidence on {run.words.background}",
                percent(row["background_share"]),
                help=f"share of the evidence outside the {run.words.subject}",
            )
            st.metric(
                "Attention score",
                number(row["attention_score"]),
                help=f"0: shaped like the {run.words.subject} · 1: no better than a flat map",
            )
            if row["reliance_probability"] is None:
                hint = f"drop in probability when one property of the {run.words.background} changes"
                st.metric("Reliance", number(row["reliance"]), help=hint)
            else:
                hint = _reliance_hint(row, run.words.background)
                st.metric(f"Relies on the {run.words.background}", percent(row["reliance_probability"]), help=hint)
        st.html(_assessment(run, row))
        with errors_shown():  # a part of the cues that cannot be read takes nothing else away
            if cues := cues_cache.cues_of_image(run, str(row["image"])):
                st.markdown(plain(_cue_words(cues, run.words)))
        st.caption(_small_print(run, row))


def _assessment(run: Run, row: ImageRow) -> str:
    """The assessment under its mark, as HTML, and why, where that is known; hover: what it means."""
    name = row["assessment"]
    why = f": {html.escape(row['reason'])}" if row["reason"] else ""
    means = html.escape(meaning(name, run.words, has_maps=run.has_maps))
    return f'<div title="{means}">{mark(name)} <strong>{WORDS[name]}</strong>{why}</div>'


def _cue_words(cues: Sequence[CueFinding], words: Words) -> str:
    """What the image relies on that no assessment knows of, the costliest first."""
    titles = " and ".join(cue_title(cue, words) for cue in cues)
    return f"By the cue test, which is experimental, it relies on {titles}: see Patterns, Cues."


def show_me(run: Run, row: ImageRow) -> None:
    """The background test in images: the image, the same with its background changed, and both probabilities."""
    if row["reliance"] is None and row["reliance_swap"] is None:
        return
    falls = {
        "color": row["reliance_color"],
        "brightness": row["reliance_brightness"],
        "texture": row["reliance_texture"],
        "together": row["reliance_together"],
        "swap": row["reliance_swap"],
    }
    with st.expander(
        f"Background test: what happens when the {run.words.background} changes",
        expanded=row["reliance_image"] is not None,
    ):
        if row["reliance_image"] is not None:
            before, after = st.columns(2)
            words = _tested_words(row, run.words.background)
            _shown(before, session.thumb_uri(run, str(row["image"])), words[0])
            _shown(after, _edited(row["reliance_image"]), words[1])
        drops = " · ".join(
            f"{DROPS.get(name, name)} {number(value, signed=True)}"
            for name, value in falls.items()
            if value is not None
        )
        only = (
            f" With the {run.words.subject} filled in: {percent(row['background_only_p'])}."
            if row["background_only_p"] is not None
            else ""
        )
        st.caption(f"Drop in the probability of {plain(str(row['predicted']))}: {drops}.{only}")


def _edit_words(row: ImageRow, background: str) -> str:
    """What was changed in the image that is shown, up to the name of the donor."""
    if row["reliance_on"] in (None, OTHER):
        return f"on the {background} of"
    return f"{review_controls.carrier_words(row['reliance_on'], background)} as in"


def _reliance_hint(row: ImageRow, background: str) -> str:
    return (
        f"Probability that the prediction would drop by more than half if only the {background} changed. "
        f"p = {number(row['p_value'], 3)} among the images predicted alike; listed where at most "
        f"{percent(row['q_value'])} false ones are allowed."
    )


def _shown(place: DeltaGenerator, uri: str | None, words: str) -> None:
    if uri:
        place.html(f'<img src="{uri}" alt="{html.escape(words)}" style="width:100%;border-radius:6px">')
    place.caption(plain(words))


def _small_print(run: Run, row: ImageRow) -> str:
    lines = [
        f"Map: {run.manifest.exactness.replace('_', ' ') or 'unknown'}, completeness error "
        f"{scientific(row['completeness_error'])} logits"
        if row["completeness_error"] is not None
        else "No map",
        _mask_words(row),
        _training_words(run, row),
    ]
    if caution := row_sentence(row["high_norm_share"]):
        lines.append(caution)
    if row["fin_share"] is not None:
        lines.append(f"Share of evidence on the fin: {percent(row['fin_share'])}")
    if row["group"]:
        lines.append(f"{capital(run.words.group)} {plain(str(row['group']))}")
    return "  \n".join(lines)


def _training_words(run: Run, row: ImageRow) -> str:
    """Whether the network was trained on the image; of a loaded network that is known only where somebody stated it."""
    if row["in_training"]:
        return "The network trained on this image, so its probability and its loss say little."
    if run.metrics().get("split"):
        return "The network did not train on this image."
    return "Whether the network trained on this image is not known."


def _mask_words(row: ImageRow) -> str:
    """Where the mask comes from, how sure its source is, and whether the mask network agrees."""
    if row["mask_source"] is None:
        return "No mask"
    agrees = row["mask_agreement"]
    return (
        f"Mask: {row['mask_source']}, covers {percent(row['mask_area'])}, confidence {number(row['mask_confidence'])}"
        + (f"; overlap with the mask network {percent(agrees)}" if agrees is not None else "")
    )


def act_on_key(run: Run, hand: Signer, *, pressed: str | None, image: str, line: Queue) -> None:
    """What a key on the canvas means."""
    if pressed in ("next", "previous"):
        if goal := line.after(image) if pressed == "next" else line.before(image):
            queue.go(goal)
            st.rerun()
    elif pressed == "skip":
        queue.skip(run, image, line.after(image))
    elif pressed in ("flag", "keep", "unsure"):
        review_actions.decide(hand, (image,), pressed, following=queue.next_of(line, image))
    elif pressed in review_actions.STEPS:
        review_actions.step(hand, pressed)
    elif pressed and pressed.isdecimal():
        review_actions.take_reason(hand, pressed, review_controls.reasons(run.words))
    elif pressed == "help":
        st.toast(HELP, icon=":material/keyboard:")
