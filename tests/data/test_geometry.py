"""Image → network input and back: a dot must stay in its cell, whatever is done to the image."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps
from timm.data.transforms_factory import create_transform

from whalecam.arrays import ByteArray, Sample
from whalecam.config import INTERPOLATIONS, RESIZES
from whalecam.data import read_sample
from whalecam.data.geometry import (
    Frame,
    Resize,
    frame_of,
    from_input,
    mask_to_input,
    resize_of,
    rotate_box,
    to_input,
)
from whalecam.explain.render import overlay

SIZE, GRID = 64, 4
SHAPES = {"wide": (121, 60), "tall": (60, 121), "square": (80, 80), "odd": (63, 80)}
ORIENTATION_TAG = 0x0112


def drawing(width: int, height: int) -> tuple[ByteArray, NDArray[np.float32]]:
    """Black, with a white dot high above the middle and a little right of it; and the dot as a mask."""
    side = min(width, height)
    x, y = round(width / 2 + 0.12 * side), round(height / 2 - 0.4 * side)
    mask = np.zeros((height, width), np.float32)
    mask[y - 2 : y + 2, x - 2 : x + 2] = 1
    return np.repeat((mask * 255).astype(np.uint8)[..., None], 3, axis=2), mask


def cells(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """The network of this test: it sums each cell of a GRID × GRID map."""
    step = SIZE // GRID
    sums: NDArray[np.float64] = np.asarray(values, np.float64).reshape(GRID, step, GRID, step).sum(axis=(1, 3))
    return sums


def peak(values: NDArray[np.generic]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(values)), values.shape))


def cell_of(x: float, y: float, frame: Frame, width: int, height: int) -> tuple[int, int]:
    """Row and column of the cell that holds the point x, y of the image."""
    across = (x / width - frame.left) / (frame.right - frame.left)
    down = (y / height - frame.top) / (frame.bottom - frame.top)
    return int(down * GRID), int(across * GRID)


def slow_axis(values: NDArray[np.float64], start: float, stop: float, padded: bool) -> NDArray[np.float64]:
    """Triangle filter along the first axis, one output sample at a time; beyond the image is black or absent."""
    scale = (stop - start) / SIZE
    support = max(scale, 1.0)
    out = np.zeros((SIZE, *values.shape[1:]))
    for i in range(SIZE):
        centre = start + (i + 0.5) * scale
        mass = 0.0
        for j in range(int(np.floor(centre - support)) - 1, int(np.ceil(centre + support)) + 2):
            weight = max(0.0, 1 - abs(j + 0.5 - centre) / support)
            inside = 0 <= j < len(values)
            if inside:
                out[i] += weight * values[j]
            if inside or padded:
                mass += weight
        out[i] /= mass
    return out


def slow_input(values: NDArray[np.generic], resize: str) -> NDArray[np.float64]:
    height, width = values.shape
    side = min(width, height) if resize == "crop" else max(width, height)
    wide, high = (width, height) if resize == "squish" else (side, side)
    x, y = (width - wide) / 2, (height - high) / 2
    across = slow_axis(np.asarray(values, np.float64).T, x, x + wide, wide > width).T
    return slow_axis(across, y, y + high, high > height)


def stored(pixels: ByteArray, orientation: int, folder: Path) -> tuple[Path, tuple[int, int]]:
    """Write an upright image as a camera held in another way would: turned, with an EXIF orientation."""
    turn = Image.Transpose
    undone_by = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_90,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_270,
    }
    picture = Image.fromarray(pixels)
    if orientation in undone_by:
        picture = picture.transpose(undone_by[orientation])
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    path = folder / f"o{orientation}.png"
    picture.save(path, exif=exif)
    return path, picture.size


def test_frames_with_known_answers() -> None:
    assert frame_of(200, 100, "squish") == Frame(0, 0, 1, 1)
    assert frame_of(200, 100, "crop") == Frame(0.25, 0, 0.75, 1)
    assert frame_of(100, 200, "crop") == Frame(0, 0.25, 1, 0.75)
    assert frame_of(200, 100, "pad") == Frame(0, -0.5, 1, 1.5)
    assert frame_of(100, 200, "pad") == Frame(-0.5, 0, 1.5, 1)


def test_unknown_resize_is_named() -> None:
    with pytest.raises(ValueError, match=r"'stretch'.*squish, crop, pad"):
        frame_of(2, 2, "stretch")


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from(["crop", "pad"]))
def test_crop_and_pad_show_a_centred_square(width: int, height: int, resize: str) -> None:
    frame = frame_of(width, height, resize)
    wide, high = (frame.right - frame.left) * width, (frame.bottom - frame.top) * height
    assert wide == pytest.approx(high)
    assert wide == pytest.approx(min(width, height) if resize == "crop" else max(width, height))
    assert frame.left + frame.right == pytest.approx(1)
    assert frame.top + frame.bottom == pytest.approx(1)


def whole(mask: np.ndarray, seen: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Ones where an input is all image."""
    return mask, np.ones_like(mask) if seen is None else seen


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("shape", [(31, 60), (60, 31), (97, 96), (96, 97), (40, 40), (200, 150), (1, 9)])
def test_input_equals_the_slow_filter(shape: tuple[int, int], resize: str) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    fast = to_input(pixels, SIZE, resize)
    slow = np.stack([slow_input(pixels[..., c], resize) for c in range(3)], axis=-1)
    assert fast.shape == (SIZE, SIZE, 3)
    assert fast.dtype == np.uint8
    assert np.abs(fast - slow).max() <= 1.5

    values = rng.random(shape)
    mask, seen = whole(*mask_to_input(values, SIZE, resize))
    assert mask.dtype == seen.dtype == np.float32
    assert mask * seen == pytest.approx(slow_input(values, resize), abs=1e-5)
    assert seen == pytest.approx(slow_input(np.ones(shape), resize), abs=1e-5)


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_map_mask_overlay_and_flip_agree_to_the_cell(shape: str, resize: str) -> None:
    width, height = SHAPES[shape]
    pixels, mask = drawing(width, height)
    rows, columns = np.nonzero(mask)
    x, y = columns.mean() + 0.5, rows.mean() + 0.5
    frame = frame_of(width, height, resize)
    expected = cell_of(x, y, frame, width, height)
    assert expected[0] != expected[1]

    evidence = cells(to_input(pixels, SIZE, resize).sum(axis=2))
    animal, _ = mask_to_input(mask, SIZE, resize)
    assert peak(evidence) == expected
    assert peak(cells(animal)) == expected

    heat = overlay(np.zeros_like(pixels), (evidence == evidence.max()).astype(float), frame, 1.0).sum(axis=2)
    row, column = peak(heat)
    assert cell_of(column + 0.5, row + 0.5, frame, width, height) == expected

    mirrored = cells(to_input(pixels[:, ::-1].copy(), SIZE, resize).sum(axis=2))
    assert peak(mirrored) == (expected[0], GRID - 1 - expected[1])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("shape", ["wide", "tall"])
def test_a_turned_file_gives_the_same_cells(shape: str, resize: str, orientation: int, tmp_path: Path) -> None:
    pixels, mask = drawing(*SHAPES[shape])
    path, (stored_width, stored_height) = stored(pixels, orientation, tmp_path)
    sample: Sample = read_sample(path, path.name)
    assert sample.orientation == orientation
    assert np.array_equal(to_input(sample.pixels, SIZE, resize), to_input(pixels, SIZE, resize))

    rows, columns = np.nonzero(np.asarray(Image.open(path))[..., 0])
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    x1, y1, x2, y2 = (int(v) for v in rotate_box(box, stored_width, stored_height, orientation))
    assert mask[y1:y2, x1:x2].all()
    assert mask[y1:y2, x1:x2].sum() == mask.sum()


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(1, 8), st.integers(2, 9), st.integers(2, 9))
def test_boxes_turn_as_pillow_turns_pixels(data: st.DataObject, orientation: int, width: int, height: int) -> None:
    x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x2, y2 = data.draw(st.integers(x1 + 1, width)), data.draw(st.integers(y1 + 1, height))
    picture = np.zeros((height, width), np.uint8)
    picture[y1:y2, x1:x2] = 255
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", exif=exif)
    rows, columns = np.nonzero(np.asarray(ImageOps.exif_transpose(Image.open(buffer))))
    upright = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert rotate_box((x1, y1, x2, y2), width, height, orientation) == upright


@pytest.mark.parametrize("orientation", [0, 9, -3])
def test_an_orientation_that_does_not_exist_leaves_the_box(orientation: int) -> None:
    assert rotate_box((1, 2, 3, 4), 10, 20, orientation) == (1, 2, 3, 4)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(RESIZES), st.integers(0, 9))
def test_animal_and_water_fill_what_was_seen(width: int, height: int, resize: str, seed: int) -> None:
    values = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    mask, seen = whole(*mask_to_input(values, SIZE, resize))
    water, _ = mask_to_input(1 - values, SIZE, resize)
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert (mask + water)[seen > 1e-3] == pytest.approx(1, abs=1e-3)
    assert not mask[seen == 0].any()
    flipped, _ = mask_to_input(values[:, ::-1].copy(), SIZE, resize)
    # At a weight of nothing the quotient is rounding error, so the mask is compared as leak uses it: times seen.
    assert (flipped[:, ::-1] * seen) == pytest.approx(mask * seen, abs=1e-4)


@pytest.mark.parametrize(("shape", "share"), [((50, 100), 0.5), ((100, 50), 0.5), ((31, 60), 31 / 60), ((9, 9), 1.0)])
def test_padding_is_unseen_and_black(shape: tuple[int, int], share: float) -> None:
    _, seen = mask_to_input(np.ones(shape), SIZE, "pad")
    assert seen is not None
    assert float(seen.mean()) == pytest.approx(share, abs=0.005)
    white = to_input(np.full((*shape, 3), 255, np.uint8), SIZE, "pad")
    assert np.abs(white[..., 0] - 255 * seen).max() <= 1


def test_a_panorama_is_padded_without_a_square_of_its_length() -> None:
    strip = np.full((40, 60_000, 3), 255, np.uint8)
    for pixels in (strip, strip.transpose(1, 0, 2).copy()):
        assert 0 < to_input(pixels, SIZE, "pad").sum() < 255 * SIZE * 3


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("shape", [(60, 120), (120, 60), (96, 96), (40, 300)])
def test_an_input_goes_back_to_the_proportions_of_its_picture(shape: tuple[int, int], resize: str) -> None:
    height, width = shape
    drawn = np.zeros((height, width, 3), np.uint8)
    drawn[: height // 2, : width // 2], drawn[height // 2 :, width // 2 :] = (255, 0, 0), (0, 0, 255)
    back = from_input(to_input(drawn, 64, resize), width, height, resize)
    wanted = 1 if resize == "crop" else width / height
    assert back.shape[1] / back.shape[0] == pytest.approx(wanted, rel=0.15)
    rows, across = back.shape[0], back.shape[1]
    assert tuple(back[rows // 4, across // 4] > 128) == (True, False, False)
    assert tuple(back[rows * 3 // 4, across * 3 // 4] > 128) == (False, False, True)
    assert not (back[rows // 4, across * 3 // 4] > 128).any()


# ------------------------------------------------------------------------------------------ crop share and filters


@given(st.sampled_from(RESIZES), st.integers(1, 1000), st.sampled_from(INTERPOLATIONS))
def test_the_text_of_a_resize_says_all_of_it(kind: str, share: int, interpolation: str) -> None:
    how = Resize(kind, share / 1000, interpolation)
    assert resize_of(str(how)) == how


def test_a_crop_share_is_the_central_part_of_what_is_shown() -> None:
    assert str(Resize("crop")) == "crop" and str(Resize("crop", 0.875, "bicubic")) == "crop 0.875 bicubic"
    assert frame_of(200, 100, "squish 0.5") == Frame(0.25, 0.25, 0.75, 0.75)
    assert frame_of(200, 100, "crop 0.5 bicubic") == Frame(0.375, 0.25, 0.625, 0.75)
    assert frame_of(200, 100, "pad 0.5") == Frame(0.25, 0, 0.75, 1)
    frame = frame_of(200, 100, "pad 0.8")
    assert (frame.left, frame.top, frame.right, frame.bottom) == pytest.approx((0.1, -0.3, 0.9, 1.3))


@pytest.mark.parametrize("resize", ["squish 0.8", "crop 0.8 bicubic", "pad 0.8", "pad 0.5"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_share_keeps_map_mask_and_overlay_together(shape: str, resize: str) -> None:
    """As without a share, where the animal lies in what is seen."""
    width, height = SHAPES[shape]
    pixels, mask = drawing(width, height)
    rows, columns = np.nonzero(mask)
    frame = frame_of(width, height, resize)
    x, y = (columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height
    if not (frame.left < x < frame.right and frame.top < y < frame.bottom):
        pytest.skip("cut off")
    expected = cell_of(x * width, y * height, frame, width, height)
    assert peak(cells(to_input(pixels, SIZE, resize).sum(axis=2))) == expected
    assert peak(cells(mask_to_input(mask, SIZE, resize)[0])) == expected


@pytest.mark.parametrize("resize", ["squish 0.8", "crop 0.8", "pad 0.8", "pad 0.5"])
def test_what_an_input_shows_has_the_images_proportions(resize: str) -> None:
    pixels = np.zeros((100, 200, 3), np.uint8)
    shown = from_input(to_input(pixels, SIZE, resize), 200, 100, resize)
    frame = frame_of(200, 100, resize)
    wide = min(frame.right, 1) - max(frame.left, 0)
    high = min(frame.bottom, 1) - max(frame.top, 0)
    assert shown.shape[1] / shown.shape[0] == pytest.approx(200 * wide / (100 * high), rel=0.05)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("crop 0", "share of 0"),
        ("crop 1.5", "share of 1.5"),
        ("crop cubic", "no interpolation called 'cubic'; there are bilinear, bicubic"),
        ("crop -0.5", "no interpolation called '-0.5'"),
        ("", "no way to resize called ''"),
    ],
)
def test_another_text_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        resize_of(text)


MODES = {"crop": "center", "squish": "squash", "pad": "border"}


@pytest.mark.parametrize("kind", RESIZES)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "share"), [(64, 1.0), (64, 0.8), (112, 0.875)])
def test_the_input_is_that_of_timm(kind: str, interpolation: str, size: int, share: float) -> None:
    """timm resizes first and cuts out then, at whole pixels; here, all its sides and edges are whole."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 24, 3), dtype=np.uint8))
    image = coarse.resize((480, 240), Image.Resampling.BICUBIC)
    mode: str = MODES[kind]
    theirs = create_transform(
        (3, size, size), crop_pct=share, crop_mode=mode, interpolation=interpolation, mean=(0,) * 3, std=(1,) * 3
    )
    fill = {"border": 0}.get(mode)
    wanted = np.asarray(theirs(image)).transpose(1, 2, 0) * 255
    ours = to_input(np.asarray(image), size, str(Resize(kind, share, interpolation)))
    seen = slice(None) if fill is None else slice(size // 3, -(size // 3))  # timm's border is grey
    assert np.abs(ours[seen].astype(float) - wanted[seen]).mean() < 1.5
