"""A page with our two components alone, for test_components.py: `?show=canvas`, `?show=gallery` or `?show=slow`;
`?show=leaving` shows six of twenty cards, which leave when they are signed, as under a filter; `?show=moving` a gallery
that each key moves, under a message that comes or goes."""

import base64
import io
import time

import numpy as np
import streamlit as st
from PIL import Image

from whalecam.app.components.canvas import Layer, Sides, heat_canvas, overlay_controls
from whalecam.app.components.gallery import Card, gallery, selected_now
from whalecam.config import MASK_GRID
from whalecam.data.geometry import frame_of

WIDE, HIGH = 300, 200
VALUES = np.array([[-2.0, 0.5, 0.0, 1.0], [0.25, 4.0, -0.75, 3.0], [0.0, 0.0, 1.5, 2.0]], np.float32)
CARDS, REASONS = 8, 3
SHOWN, LEAVING = 6, 20
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"


def picture(seed: int, wide: int = WIDE, high: int = HIGH) -> str:
    noise = np.random.default_rng(seed).integers(90, 160, (high, wide, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "WEBP", quality=40)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def show_canvas() -> None:
    resize = st.query_params.get("resize", "squish")
    number = int(st.session_state.get("picture", 0))
    mask = np.zeros((MASK_GRID, MASK_GRID), bool)
    mask[30:60, 20:70] = True
    layer = Layer.of(VALUES, frame_of(WIDE, HIGH, resize))
    bits = np.packbits(mask).tobytes()
    sides = Sides(
        f"image {number}", "as it is: 90 %", picture(number + 50), "colour of the water: 10 %", "no verdict yet"
    )
    pressed = heat_canvas(picture(number), layer, bits, f"image {number}", key="canvas", sides=sides, reasons=REASONS)
    if pressed == "next":
        st.session_state["picture"] = number + 1
    if pressed:
        note(f"{pressed}:{number}")


def show_gallery() -> None:
    bar = st.container()
    if st.button("More above"):
        bar.info("The gallery moves down.")
    cards = [
        Card(
            f"{i}.jpg",
            None if i == 5 else picture(i, 120, 60 + 20 * i),
            HOSTILE if i == 3 else f"species {i}",
            (f"{i}.jpg", "loss 0.10"),
            badge="suspect" if i % 2 else "clean",
            review="flag" if i == 1 else "",
            layer=None if i == 5 else Layer.of(VALUES, frame_of(120, 60 + 20 * i, "squish")),
            tooltip="truncated" if i == 5 else "",
        )
        for i in range(CARDS)
    ]
    if st.query_params.get("show") == "slow":
        for _ in range(8):
            time.sleep(0.1)
            st.empty()
    event = gallery(cards, key="gallery", reasons=REASONS)
    st.text(f"selected={','.join(event.selected)}")
    if event.opened:
        note(f"opened:{event.opened}")
    elif event.key:
        note(f"{event.key}:{','.join(event.selected)}")


def show_moving() -> None:
    """A gallery that each key moves down or up, under a message that comes and goes."""
    if st.session_state.get("moved"):
        st.info("Something above.")
        st.info("And one more.")
    cards = [Card(f"{i}.jpg", picture(i, 120, 80), f"{i}.jpg") for i in range(CARDS)]
    event = gallery(cards, key="gallery")
    if event.key:
        st.session_state["moved"] = not st.session_state.get("moved")
        note(f"{event.key}:{','.join(event.selected)}")


def show_leaving() -> None:
    """A slow page on which keys and a button sign at once, the button what is selected when it is pressed."""
    signed = st.session_state.setdefault("signed", {})
    st.button("Keep", on_click=lambda: st.session_state.update(asked=selected_now("gallery")))
    names = [f"{i}.jpg" for i in range(LEAVING) if f"{i}.jpg" not in signed][:SHOWN]
    cards = [Card(name, picture(int(name[:-4]), 60, 40), name) for name in names]
    for _ in range(3):
        time.sleep(0.1)
        st.empty()
    event = gallery(cards, key="gallery", outcome=st.session_state.get("outcome"))
    if event.key == "unsure":
        st.session_state["outcome"] = {"id": str(time.monotonic()), "state": "refused", "images": event.selected}
        note(f"refused:{','.join(event.selected)}")
    if event.key:
        signed |= dict.fromkeys(event.selected, event.key)
        note(f"{event.key}:{','.join(event.selected)}")
    if asked := st.session_state.pop("asked", ()):
        signed |= dict.fromkeys(asked, "keep")
        st.session_state["outcome"] = {"id": str(time.monotonic()), "state": "signed", "images": asked}
        note(f"button:{','.join(asked)}")


def note(words: str) -> None:
    """As the real pages do: act, then start over."""
    st.session_state.setdefault("log", []).append(words)
    st.rerun()


st.set_page_config(layout="wide")
st.session_state["runs"] = st.session_state.get("runs", 0) + 1
overlay_controls()
st.text_input("Note", key="note")
if st.query_params.get("show", "canvas") == "canvas":
    show_canvas()
elif st.query_params.get("show") == "leaving":
    show_leaving()
elif st.query_params.get("show") == "moving":
    show_moving()
else:
    show_gallery()
log = st.session_state.get("log", [])
st.text(f"runs={st.session_state['runs']} log={' | '.join(log)}")
