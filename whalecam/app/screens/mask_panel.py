"""Correcting the mask of the image in view: what is drawn on the canvas, and what was done to it before."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from whalecam.app.components.canvas.drawing import Answer, CutRequest, Drawing, Saved
from whalecam.app.shell import jobs
from whalecam.app.shell.page_frame import plain
from whalecam.app.shell.start_job import launch
from whalecam.app.state import image_cache, mask_answers, session
from whalecam.app.widgets import review_actions
from whalecam.commands import Remask
from whalecam.data import read_sample, read_shape
from whalecam.errors import ReviewError, WhalecamError
from whalecam.explain.masks.corrected import mask_png, resized
from whalecam.explain.masks.cutout import cut_out
from whalecam.explain.render import unpack_mask
from whalecam.store import corrected
from whalecam.store.run import Run
from whalecam.store.table import ImageRow

IN_MEMORY = (
    "The mask cannot be corrected here: the network is in the memory of the process that made the run. From Python: "
    "whalecam.remask(run, image, mask, reviewer=…, model=…)."
)
NO_OUTLINE = "Nothing in this box stands out. Choose a box a little larger than the subject, or paint it."
PATIENCE_S = 5.0
"""How long an undo waits for somebody else who corrects a mask."""
EVENTS = {"correction": "mask corrected", "undo": "correction undone", "redo": "correction redone"}


def drawing_of(run: Run, row: ImageRow) -> Drawing | None:
    """The mask from which a person goes on to draw; None where this image cannot be measured again."""
    if not run.can_measure or row["predicted"] is None or not row["width"]:
        return None
    bits = row["mask_bits"]
    return Drawing.start(_corrected(run, row) if bits else None, row["width"], row["height"])


def _corrected(run: Run, row: ImageRow) -> NDArray[np.generic]:
    """The present mask: as it was drawn where a person corrected it, else as the table has it."""
    path = corrected.corrected_path(run, row["image"])
    if path.is_file():
        shape = read_shape(path)
        with Image.open(path) as image:
            if shape.orientation == 1 and image.size == (row["width"], row["height"]):
                return np.asarray(image)
    return unpack_mask(row["mask_bits"] or b"")


def act_on_drawing(run: Run, row: ImageRow, done: Saved | CutRequest, reviewer: str) -> None:
    """Carry out what was asked for on the canvas."""
    if isinstance(done, CutRequest):
        mask_answers.note(_cut(run, row, done))
        review_actions.start_over()
    else:
        _save(run, row, done, reviewer)


def _cut(run: Run, row: ImageRow, request: CutRequest) -> Answer:
    pixels = read_sample(image_cache.image_file(run, row["image"]), row["image"]).pixels
    subject = cut_out(pixels, *request.corners)
    if subject is None:
        return Answer(id=request.id, kind="cut", drawing=None, note=NO_OUTLINE)
    drawing = Drawing.start(subject, row["width"], row["height"])
    return Answer(id=request.id, kind="cut", drawing=drawing.packed(), note="")


def _save(run: Run, row: ImageRow, saved: Saved, reviewer: str) -> None:
    """Start the measuring of the image under the drawn mask. What is wrong becomes a message, and the drawing stays."""
    image = row["image"]
    try:
        if not reviewer:
            raise ReviewError("A corrected mask is signed. Give your name in the sidebar, then save the mask again.")
        subject = Drawing.read(saved.content, row["width"], row["height"]).mask()
        shape = read_shape(image_cache.image_file(run, image))
        png = mask_png(resized(subject.astype(np.uint8) * np.uint8(255), shape), shape.orientation)
        path = corrected.drawn_path(run, image)
        with corrected.written(run, image):
            corrected.write_mask(path, png)
        jobs.start(
            run.path, f"Mask of {image}", Remask(run=str(run.path), image=image, mask=str(path), reviewer=reviewer)
        )
    except WhalecamError as error:
        _refuse(saved, str(error))
    else:
        mask_answers.note(Answer(id=saved.id, kind="saved", drawing=None, note=""))
        st.rerun()


def _refuse(saved: Saved, why: str) -> None:
    mask_answers.note(Answer(id=saved.id, kind="refused", drawing=None, note=why))
    review_actions.start_over()


def history(run: Run, row: ImageRow, reviewer: str) -> None:
    """Who corrected the mask and when, with undo and redo."""
    image = row["image"]
    if not run.can_measure and run.trained:
        st.caption(plain(IN_MEMORY))
    entries = session.corrections_of(run).history(image)
    if entries.empty:
        return
    words = [f"{EVENTS[event]} by {who}, {at[:16].replace('T', ' ')}" for event, who, at in entries.to_numpy().tolist()]
    st.caption(plain(" · ".join(words)))
    corrections = session.corrections_of(run)
    with st.container(horizontal=True):
        for name, is_possible in (("undo", corrections.standing(image)), ("redo", corrections.undone(image))):
            label = f"{name.capitalize()} the mask"
            if st.button(label, key=f"mask_{name}", icon=f":material/{name}:", disabled=is_possible is None):
                _step(run, image, reviewer, name)


def _step(run: Run, image: str, reviewer: str, name: str) -> None:
    try:
        with run.correcting(PATIENCE_S):
            corrected.step(run, image, reviewer, name)
    except corrected.StaleRowError:
        command = Remask(run=str(run.path), image=image, reviewer=reviewer, undo=name == "undo", redo=name == "redo")
        launch(run, f"Mask of {image}", command)
    st.rerun()
