"""The canvas and the gallery in a real Chromium; and their drawing held against PyTorch's interpolation."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.journeys.conftest import expect, profile, serving
from whalecam.app.components.assets import module
from whalecam.app.components.canvas import Layer, packed_layer
from whalecam.data.geometry import Frame
from whalecam.explain import render

DRAWING = "settingsOf, upsample, colourise, readable, contoursOf"
"""What the tests call themselves, of the script that Streamlit is given for the canvas."""
WHOLE = Frame(0.0, 0.0, 1.0, 1.0)
VALUES = np.array([[-2.0, 0.5, 0.0, 1.0], [0.25, 4.0, -0.75, 3.0], [0.0, 0.0, 1.5, 2.0]], np.float32)
pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def paint(browser: Any) -> Iterator[Callable[..., Any]]:
    """Evaluate an expression with the canvas's functions in scope: `paint("settingsOf(given)", given="?opacity=1")`."""
    page = browser.new_page()
    script = f"{module('canvas/canvas.js')}\nObject.assign(window, {{ {DRAWING} }})"
    page.add_script_tag(content=script, type="module")
    page.wait_for_function("() => window.contoursOf")
    yield lambda code, **given: page.evaluate(f"(given) => {code}", given)
    page.close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(Path(__file__).with_name("components_app.py")) as url:
        yield url


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Open the app at a query string; fails the test when the page logged a JavaScript error."""
    profiles, faults = [], []

    def go(query: str, width: int = 1440, height: int = 900, before: str = "") -> Any:
        profiles.append(profile(browser, viewport={"width": width, "height": height}))
        page = profiles[-1].new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        if before:
            page.add_init_script(before)
        page.goto(f"{address}/?{query}")
        page.locator("canvas.heat, .card").first.wait_for(timeout=120_000)
        page.get_by_text("runs=").wait_for()
        page.wait_for_function(FULLY_PAINTED)
        return page

    yield go
    for person in profiles:
        person.close()
    assert not faults


FIND = """(kind) => [...document.querySelectorAll('*')].filter((e) => e.shadowRoot)
  .flatMap((e) => [...e.shadowRoot.querySelectorAll(kind)])"""
FULLY_PAINTED = f"() => ({FIND})('img').every((e) => e.complete && e.naturalWidth > 0)"
ALPHAS = f"""(kind) => {{
  const canvas = ({FIND})(kind)[0]
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
  let sum = 0
  for (let i = 3; i < data.length; i += 4) sum += data[i]
  return sum
}}"""


def runs(page: Any) -> int:
    found = re.search(r"runs=(\d+)", page.get_by_text("runs=").inner_text())
    assert found is not None
    return int(found.group(1))


def log(page: Any) -> list[str]:
    words = page.get_by_text("runs=").first.inner_text().split("log=")[1].strip()
    return words.split(" | ") if words else []


def until(page: Any, condition: Callable[[], Any], wanted: Any, milliseconds: int = 60_000) -> bool:
    """Wait until `condition()` is `wanted`: True, or a failure that shows what it was if it never is."""
    end = time.monotonic() + milliseconds / 1000
    while condition() != wanted and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert condition() == wanted
    return True


def selected(page: Any) -> str:
    text: str = page.get_by_text("selected=").inner_text()
    return text.removeprefix("selected=")


def focused(page: Any) -> str:
    """The image whose card has the focus, by the card's label; "" where none has."""
    labels = page.locator(".card:focus").evaluate_all("(cards) => cards.map((card) => card.getAttribute('aria-label'))")
    return next((part for label in labels for part in label.split(", ") if part.endswith(".jpg")), "")


def hint(page: Any) -> str:
    """Which images the keys would sign, as the gallery says it."""
    text: str = page.locator(".hint").inner_text()
    return next(part for part in text.split(" · ") if part.startswith("F K U"))


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [(7, 7, 224, 224), (4, 6, 133, 77), (1, 1, 9, 5), (14, 3, 5, 40), (1, 7, 3, 7)],
)
def test_upsampling_is_pytorchs_bilinear(paint: Any, height: int, width: int, rows: int, columns: int) -> None:
    functional = pytest.importorskip("torch.nn.functional")
    torch = pytest.importorskip("torch")
    grid = np.random.default_rng(height * width).uniform(0, 255, (height, width)).astype(np.float32)
    slow = functional.interpolate(
        torch.from_numpy(grid)[None, None], (rows, columns), mode="bilinear", align_corners=False
    )
    ours = paint(
        f"Array.from(upsample(Float32Array.from(given.grid), {height}, {width}, {rows}, {columns}))",
        grid=grid.ravel().tolist(),
    )
    np.testing.assert_allclose(np.reshape(ours, (rows, columns)), slow[0, 0].numpy(), atol=2e-3)


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("", {"opacity": 0.6, "threshold": 0, "colours": "magma", "outline": True, "heat": True}),
        ("?opacity=0&threshold=0.25&colours=turbo&outline=false&heat=false&run=x", None),
        ("?opacity=7&threshold=-1&outline=TRUE", {"opacity": 1, "threshold": 0, "outline": True}),
        ("?opacity=abc&threshold=&colours=", {"opacity": 0.6, "threshold": 0, "colours": "magma"}),
    ],
)
def test_settings_come_from_the_url(paint: Any, search: str, expected: dict[str, Any] | None) -> None:
    chosen = {"opacity": 0, "threshold": 0.25, "colours": "turbo", "outline": False, "heat": False}
    settings = paint("settingsOf(given.search)", search=search)
    assert settings == settings | (expected or chosen)


def test_weak_evidence_is_clear_and_strong_evidence_has_the_colour_of_the_table(paint: Any) -> None:
    table = np.stack([np.arange(256), 255 - np.arange(256), np.full(256, 9)], axis=1)
    code = "Array.from(colourise(Float32Array.from([0, 1, 2, 5]), 5, given.table, 0.5, given.threshold))"
    pixels = np.reshape(paint(code, table=table.ravel().tolist(), threshold=0), (4, 4))
    assert pixels.tolist() == [[0, 0, 0, 0], [51, 204, 9, 26], [102, 153, 9, 51], [255, 0, 9, 128]]
    cut = np.reshape(paint(code, table=table.ravel().tolist(), threshold=0.4), (4, 4))
    assert cut[:, 3].tolist() == [0, 0, 51, 128]


@pytest.mark.parametrize(("top", "threshold"), [(None, 0.0), (1.5, 0.3)])
def test_the_browser_paints_what_render_paints(paint: Any, top: float | None, threshold: float) -> None:
    rng = np.random.default_rng(3)
    values, pixels = rng.normal(0, 1, (5, 7)).astype(np.float32), rng.integers(0, 256, (90, 130, 3)).astype(np.uint8)
    expected = render.overlay(pixels, values, WHOLE, 0.6, threshold=threshold, top=top).astype(float)
    heat = paint(
        "Array.from(colourise(upsample(readable(given.layer).positive, 5, 7, 90, 130),"
        " given.layer.top, given.table, 0.6, given.threshold))",
        layer=packed_layer(Layer.of(values, WHOLE, top)),
        table=render.lut("magma").ravel().tolist(),
        threshold=threshold,
    )
    colour, alpha = np.split(np.reshape(heat, (90, 130, 4)).astype(float), [3], axis=2)
    ours = pixels * (1 - alpha / 255) + colour * alpha / 255
    far = np.abs(ours - expected).max(axis=2) > 2
    assert far.mean() < 0.001


def test_outline_follows_the_mask(paint: Any) -> None:
    y, x = (np.mgrid[:96, :96] + 0.5) / 96
    disc = (x - 0.6) ** 2 + (y - 0.4) ** 2 < 0.2**2
    disc[90, 3] = True
    loops = paint("contoursOf(Uint8Array.from(given.bits), 96)", bits=np.packbits(disc).tolist())
    big, dot = sorted((np.array(loop) for loop in loops), key=len, reverse=True)
    assert np.abs(np.hypot(big[:, 0] - 0.6, big[:, 1] - 0.4) - 0.2).max() < 1 / 96
    assert np.abs(dot - [3.5 / 96, 90.5 / 96]).max() < 1 / 96
    assert len(loops) == 2


@pytest.mark.parametrize("before", ["", "Object.defineProperty(window, 'navigation', {value: undefined})"])
def test_opacity_acts_in_the_browser_without_a_server_run(visit: Any, before: str) -> None:
    page = visit("", before=before)
    full, started = page.evaluate(ALPHAS, "canvas.heat"), runs(page)
    slider = page.get_by_role("slider", name="Opacity")
    slider.focus()
    for _ in range(6):
        slider.press("ArrowLeft")
    page.wait_for_url("**opacity=0.3*")
    until(page, lambda: abs(page.evaluate(ALPHAS, "canvas.heat") / full - 0.5) < 0.01, True)
    page.get_by_text("Show the heat").click()
    until(page, lambda: page.evaluate(ALPHAS, "canvas.heat"), 0)
    page.wait_for_timeout(500)
    assert runs(page) == started


def test_url_alone_sets_the_look_and_the_threshold_is_marked(visit: Any) -> None:
    plain, bare = visit(""), visit("threshold=0.5&outline=false")
    assert until(bare, lambda: bare.evaluate(ALPHAS, "canvas.heat") < 0.7 * plain.evaluate(ALPHAS, "canvas.heat"), True)
    expect(plain.locator("canvas.outline")).to_be_visible()
    expect(bare.locator("canvas.outline")).to_be_hidden()
    expect(bare.locator(".threshold")).to_be_visible()
    expect(plain.locator(".threshold")).to_be_hidden()
    expect(bare.locator(".note")).to_contain_text("below 2.00 logits")
    until(plain, lambda: plain.locator(".ticks").inner_text().split("\n"), ["0", "2.00", "4.00 logits"])


@pytest.mark.parametrize("resize", ["squish", "crop", "pad"])
def test_value_under_the_cursor_is_the_cells(visit: Any, resize: str) -> None:
    page = visit(f"resize={resize}")
    expect(page.locator(".readout")).to_contain_text("+4.00 logits · row 2, column 2")
    box, frame = (page.locator(name).bounding_box() for name in (".stage", ".frame"))
    compared = 0
    for row, column in np.ndindex(VALUES.shape):
        x = frame["x"] + (column + 0.5) / 4 * frame["width"]
        y = frame["y"] + (row + 0.5) / 3 * frame["height"]
        if not (box["y"] < y < box["y"] + box["height"]):
            continue
        page.mouse.move(x, y)
        value = f"{abs(VALUES[row, column]):.2f}".replace("0.00", "0")
        sign = {1: "+", -1: "−", 0: ""}[int(np.sign(VALUES[row, column]))]
        expected = f"{sign}{value} logits{', against' if sign == '−' else ''} · row {row + 1}, column {column + 1}"
        expect(page.locator(".readout")).to_have_text(expected)
        compared += 1
    assert compared >= VALUES.shape[1], "a whole row of cells is shown, however the image is brought into the square"
    if resize == "crop":
        page.mouse.move(box["x"] + 5, box["y"] + 50)
        expect(page.locator(".readout")).to_contain_text("did not see")


def test_keys_on_the_canvas_reach_python_but_not_from_a_field(visit: Any) -> None:
    page = visit("")
    note = page.get_by_label("Note")
    note.fill("x")
    note.press("f")
    page.mouse.click(700, 850)
    until(page, lambda: log(page), [])
    for key, words in [
        ("f", "flag:0"),
        ("ArrowRight", "next:0"),
        ("?", "help:1"),
        ("z", "undo:1"),
        ("p", "previous:1"),
    ]:
        page.keyboard.press(key)
        until(page, lambda: log(page)[-1:], [words])
    assert len(log(page)) == 5


def hold(page: Any, key: str) -> None:
    """Press a key and keep it down, as long as the system takes to repeat it."""
    page.keyboard.down(key)
    page.keyboard.down(key)


@pytest.mark.parametrize(("query", "canvas"), [("", "canvas.heat"), ("show=gallery", ".card canvas")])
def test_the_heat_goes_by_a_tap_and_for_as_long_as_its_key_is_held(visit: Any, query: str, canvas: str) -> None:
    page = visit(query)
    until(page, lambda: page.evaluate(ALPHAS, canvas) > 0, True)
    full, started = page.evaluate(ALPHAS, canvas), runs(page)
    hold(page, "h")
    until(page, lambda: page.evaluate(ALPHAS, canvas), 0)
    page.keyboard.up("h")
    until(page, lambda: page.evaluate(ALPHAS, canvas), full)
    page.keyboard.press("h")
    until(page, lambda: page.evaluate(ALPHAS, canvas), 0)
    hold(page, "h")
    until(page, lambda: page.evaluate(ALPHAS, canvas), full)
    page.keyboard.up("h")
    until(page, lambda: page.evaluate(ALPHAS, canvas), 0)
    assert runs(page) == started


def test_plain_heat_and_changed_background_stand_side_by_side_and_keys_go_on(visit: Any) -> None:
    page = visit("")
    sides = page.get_by_role("dialog", name="Side by side")
    page.keyboard.press("c")
    expect(sides).to_be_visible()
    expect(sides.locator("figcaption")).to_have_text(["as it is: 90 %", "image 0", "colour of the water: 10 %"])
    images = sides.locator("img").all()
    until(page, lambda: len({round(image.bounding_box()["y"]) for image in images}) == 1, True)
    until(page, lambda: page.evaluate(ALPHAS, ".sides canvas") > 0, True)
    page.keyboard.press("n")
    expect(sides.locator("strong")).to_have_text("image 1")
    page.keyboard.press("f")
    assert until(page, lambda: log(page), ["next:0", "flag:1"])
    page.keyboard.press("Escape")
    expect(sides).to_have_count(0)
    page.get_by_role("button", name="Side by side").click()
    expect(sides).to_be_visible()
    page.keyboard.press("c")
    expect(sides).to_have_count(0)


@pytest.mark.parametrize("query", ["", "show=gallery"])
def test_numbers_of_reasons_reach_python_and_no_others(visit: Any, query: str) -> None:
    page = visit(query)
    for key in ("4", "2"):
        page.keyboard.press(key)
    assert until(page, lambda: log(page), ["2:0" if not query else "2:"])


def drag(page: Any, first: Any, last: Any, modifier: str = "") -> None:
    """Draw a frame from the middle of one card to that of another."""
    ends = [each.bounding_box() for each in (first, last)]
    if modifier:
        page.keyboard.down(modifier)
    for place, box in enumerate(ends):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
        if not place:
            page.mouse.down()
    page.mouse.up()
    if modifier:
        page.keyboard.up(modifier)


def test_a_frame_drawn_over_cards_selects_them_and_a_key_signs_them(visit: Any) -> None:
    page = visit("show=gallery", width=1100)
    cards = page.locator(".card")
    drag(page, cards.nth(1), cards.nth(3))
    until(page, lambda: selected(page), "1.jpg,2.jpg,3.jpg")
    drag(page, cards.nth(5), cards.nth(4), "Shift")
    until(page, lambda: selected(page), "1.jpg,2.jpg,3.jpg,4.jpg,5.jpg")
    expect(page.locator(".band")).to_have_count(0)
    page.keyboard.press("k")
    assert until(page, lambda: log(page), ["keep:1.jpg,2.jpg,3.jpg,4.jpg,5.jpg"])
    cards.nth(0).click()
    assert until(page, lambda: selected(page), "0.jpg")


def test_the_first_stop_of_the_keyboard_leads_to_the_first_card(visit: Any) -> None:
    page = visit("show=gallery")
    page.evaluate("document.activeElement?.blur()")
    page.keyboard.press("Tab")
    skip = page.get_by_role("button", name="Skip to the images")
    expect(skip).to_be_focused()
    assert skip.bounding_box()["y"] >= 0, "in view while it has the focus"
    page.keyboard.press("Enter")
    until(page, lambda: focused(page), "0.jpg")


def test_keys_in_a_quick_row_all_arrive_but_no_verdict_lands_on_a_picture_not_yet_seen(visit: Any) -> None:
    page = visit("")
    for key in ("u", "n", "n", "f"):
        page.keyboard.press(key)
    until(page, lambda: log(page)[:3], ["unsure:0", "next:0", "next:1"])
    page.wait_for_timeout(1500)
    assert not {"flag:1", "flag:2"} & set(log(page))


def test_selection_by_click_range_and_key_survives_reruns(visit: Any) -> None:
    page = visit("show=gallery")
    cards = page.locator(".card")
    cards.nth(1).click()
    until(page, lambda: selected(page), "1.jpg")
    cards.nth(4).click(modifiers=["Shift"])
    until(page, lambda: selected(page), "1.jpg,2.jpg,3.jpg,4.jpg")
    page.get_by_role("button", name="More above").click()
    page.get_by_text("The gallery moves down.").wait_for()
    page.wait_for_timeout(700)
    assert selected(page) == "1.jpg,2.jpg,3.jpg,4.jpg"
    expect(page.locator(".card.selected")).to_have_count(4)
    cards.nth(6).focus()
    page.keyboard.press("x")
    until(page, lambda: selected(page), "1.jpg,2.jpg,3.jpg,4.jpg,6.jpg")
    page.keyboard.press("u")
    until(page, lambda: log(page), ["unsure:1.jpg,2.jpg,3.jpg,4.jpg,6.jpg"])
    until(page, lambda: selected(page), "")
    until(page, lambda: (page.locator(".card.selected").count(), focused(page)), (0, "7.jpg"))
    cards.nth(0).click()
    until(page, lambda: selected(page), "0.jpg")
    page.get_by_role("button", name="Clear").click()
    until(page, lambda: selected(page), "")


def test_keyboard_walks_judges_and_opens_the_card_under_the_cursor(visit: Any) -> None:
    page = visit("show=gallery")
    page.keyboard.press("k")
    page.locator(".card").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".card[tabindex='0']")).to_have_count(1)
    page.keyboard.press("f")
    until(page, lambda: log(page), ["flag:2.jpg"])
    page.keyboard.press("Enter")
    until(page, lambda: log(page), ["flag:2.jpg", "opened:3.jpg"])
    page.locator(".card").nth(4).dblclick()
    until(page, lambda: log(page)[-1], "opened:4.jpg")
    page.keyboard.press("z")
    until(page, lambda: log(page)[-1], "undo:")
    assert selected(page) == ""


def test_a_gallery_that_a_message_moves_keeps_the_focus_on_its_card(visit: Any) -> None:
    page = visit("show=moving")
    page.locator(".card").nth(2).focus()
    page.keyboard.press("f")
    signed = ["flag:2.jpg"]
    for number, key, name in ((3, "k", "keep"), (4, "u", "unsure"), (5, "f", "flag")):
        until(page, lambda: log(page), signed)
        until(page, lambda: page.get_by_text("Something above.").count(), number % 2)
        until(page, lambda: focused(page), f"{number}.jpg")
        page.keyboard.press(key)
        signed.append(f"{name}:{number}.jpg")
    assert until(page, lambda: log(page), signed)
    note = page.get_by_label("Note")
    note.focus()
    page.keyboard.press("Tab")
    assert until(page, lambda: focused(page), "")


def test_verdict_by_key_is_not_lost_to_a_quick_click(visit: Any) -> None:
    page = visit("show=slow")
    page.locator(".card").nth(0).click()
    until(page, lambda: selected(page), "0.jpg")
    page.wait_for_timeout(1200)
    page.keyboard.press("f")
    page.wait_for_timeout(150)
    page.locator(".card").nth(2).click()
    until(page, lambda: selected(page), "2.jpg")
    until(page, lambda: log(page), ["flag:0.jpg"])
    assert (log(page), selected(page)) == (["flag:0.jpg"], "2.jpg")


def test_keys_sign_the_card_with_the_focus_unless_the_selection_holds_it(visit: Any) -> None:
    page = visit("show=gallery")
    cards = page.locator(".card")
    for number in (1, 2):
        cards.nth(number).click()
    until(page, lambda: hint(page), "F K U sign 1.jpg and 1 more")
    page.keyboard.press("ArrowRight")
    until(page, lambda: hint(page), "F K U sign 3.jpg")
    page.keyboard.press("f")
    until(page, lambda: log(page), ["flag:3.jpg"])
    until(page, lambda: selected(page), "")
    for number in (0, 6):
        cards.nth(number).click()
    expect(page.locator(".count")).to_have_text("2 of 8 selected: 0.jpg and 1 more")
    page.get_by_label("Note").focus()
    page.keyboard.press("Tab")
    until(page, lambda: focused(page), "")
    page.keyboard.press("k")
    assert until(page, lambda: log(page)[1:], ["keep:0.jpg,6.jpg"])
    until(page, lambda: focused(page), "7.jpg")


def test_a_card_that_a_click_takes_out_of_the_selection_is_not_signed(visit: Any) -> None:
    page = visit("show=gallery")
    for number in (1, 4, 6, 4):
        page.locator(".card").nth(number).click()
    page.keyboard.press("f")
    assert until(page, lambda: log(page), ["flag:1.jpg,6.jpg"])


def test_keys_quicker_than_the_server_sign_one_card_each_though_signed_ones_leave(visit: Any) -> None:
    page = visit("show=leaving")
    page.locator(".card").first.focus()
    keys = "fkfkfkfkf"
    for key in keys[:5]:
        page.keyboard.press(key)
    names = {"f": "flag", "k": "keep"}
    until(page, lambda: log(page), [f"{names[key]}:{i}.jpg" for i, key in enumerate(keys[:5])])
    until(page, lambda: page.locator(".card").first.inner_text().strip(), "5.jpg")
    until(page, lambda: focused(page), "5.jpg")
    for key in keys[5:]:
        page.keyboard.press(key)
    until(page, lambda: log(page), [f"{names[key]}:{i}.jpg" for i, key in enumerate(keys)])
    assert until(page, lambda: focused(page), "9.jpg")


def test_a_second_thought_on_a_card_that_has_left_meanwhile_counts(visit: Any) -> None:
    page = visit("show=leaving")
    page.locator(".card").first.focus()
    for key in ("f", "ArrowLeft", "k"):
        page.keyboard.press(key)
    assert until(page, lambda: log(page), ["flag:0.jpg", "keep:0.jpg"])


def test_after_the_last_cards_the_cursor_is_where_the_next_ones_come_in(visit: Any) -> None:
    page = visit("show=leaving")
    for number in (4, 5):
        page.locator(".card").nth(number).click()
    page.keyboard.press("f")
    until(page, lambda: log(page), ["flag:4.jpg,5.jpg"])
    until(page, lambda: focused(page), "6.jpg")
    page.get_by_role("button", name="Select all").click()
    page.keyboard.press("k")
    until(page, lambda: log(page)[1:], ["keep:0.jpg,1.jpg,2.jpg,3.jpg,6.jpg,7.jpg"])
    assert until(page, lambda: focused(page), "8.jpg")


def test_a_button_signs_what_is_selected_when_it_is_pressed_and_the_cursor_moves_on(visit: Any) -> None:
    page = visit("show=leaving")
    for number in (1, 2, 3):
        page.locator(".card").nth(number).click()
    page.get_by_role("button", name="Keep").click()
    until(page, lambda: log(page), ["button:1.jpg,2.jpg,3.jpg"])
    until(page, lambda: focused(page), "4.jpg")
    expect(page.locator(".card.selected")).to_have_count(0)
    page.keyboard.press("f")
    assert until(page, lambda: log(page)[1:], ["flag:4.jpg"])


def test_a_refused_verdict_gives_the_selection_back(visit: Any) -> None:
    page = visit("show=leaving")
    for number in (1, 3):
        page.locator(".card").nth(number).click()
    page.keyboard.press("u")
    until(page, lambda: log(page), ["refused:1.jpg,3.jpg"])
    until(page, lambda: page.locator(".card.selected").all_inner_texts(), ["1.jpg", "3.jpg"])
    assert until(page, lambda: focused(page), "3.jpg")


def test_no_run_refers_to_what_the_browser_is_to_have_kept(browser: Any, address: str) -> None:
    """It may have forgotten it by then, on a busy machine and with quick keys, and the page is dead from there on."""
    page, kinds = browser.new_page(), []

    def receive(frame: bytes) -> None:
        message = ForwardMsg.FromString(frame)
        kinds.append((message.WhichOneof("type"), message.metadata.cacheable, len(frame)))

    page.on("websocket", lambda socket: socket.on("framereceived", receive))
    page.goto(f"{address}/?show=gallery")
    page.locator(".card").first.wait_for(timeout=120_000)
    before = runs(page)
    page.get_by_role("button", name="More above").click()
    until(page, lambda: runs(page), before + 1)
    page.close()
    large = [kind for kind in kinds if kind[2] > 10_000]
    assert len(large) >= 2, "the cards are large, and each run sends them"
    assert not [kind for kind in kinds if kind[0] == "ref_hash" or kind[1]]


def test_cards_show_text_as_text_and_say_what_cannot_be_read(visit: Any) -> None:
    page = visit("show=gallery")
    expect(page.locator(".card").nth(3).locator(".title")).to_have_text(re.compile("^<img src=x"))
    assert "owned" not in page.title()
    expect(page.locator(".card").nth(5)).to_contain_text("truncated")
    expect(page.locator(".card").nth(1)).to_have_attribute(
        "aria-label", "species 1, 1.jpg, loss 0.10, Suspect, flagged"
    )
    before, started = page.evaluate(ALPHAS, ".card canvas"), runs(page)
    page.get_by_role("slider", name="Opacity").press("Home")
    until(page, lambda: page.evaluate(ALPHAS, ".card canvas"), 0)
    assert before > 0
    assert runs(page) == started


@pytest.mark.parametrize("show", ["canvas", "gallery"])
def test_narrow_screens_need_no_sideways_scrolling(visit: Any, show: str) -> None:
    page = visit(f"show={show}", 390, 844)
    wide = page.evaluate(
        f"() => Math.max(...({FIND})('.stage, .card, .strip').map((e) => e.getBoundingClientRect().right))"
    )
    assert wide <= 390
    if show == "gallery":
        places = [page.locator(".card").nth(i).bounding_box() for i in (0, 1)]
        assert places[0]["y"] == places[1]["y"]
