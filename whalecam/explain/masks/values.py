"""What the values of mask files mean: greys, numbers of things, palettes, colors or transparency."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import ByteArray
from whalecam.data import MaskFile
from whalecam.errors import DatasetError

WHITE = 250
"""From this grey on a pixel counts as white; compression leaves a little less than 255."""
LOW, HIGH = 16, 239
"""What the darkest and the lightest pixel of a folder of soft masks must reach."""
MOST_HUE = 24
"""Differences between channels up to this are noise of compression, not color."""
MOST_FLAT, LARGEST_STEP, LEAST_LEVELS = 0.5, 0.08, 3
SMALL_IDS, MANY_PIXELS = 32, 20
NEARLY_BLACK, LEAST_MIDDLE = 8, 0.02
LISTED = 6
Numbers = NDArray[np.integer[Any]]
MAX_VALUES, MAX_COLORS = 4096, 16
SAMPLED, COUNTED = 10_000, 1 << 20
IGNORED = 255
"""The value of a border that belongs to no class, as in Pascal VOC."""
RIM_KERNEL, RIM_SHARE = 5, 0.02
"""A border is thinner than this many pixels, or than this share of the longer side."""
LEAST_LEFT = 0.1
"""Of a border no larger share is left once it is eroded."""
LEAST_EDGE, LEAST_DARK = 0.95, 0.01
"""A mask whose edge is white to this share, with at least so much black inside, looks inverted."""
ANY = "any"
"""`mask_class` for every value but 0 and an ignored border."""
GREY, NUMBERS, PALETTE, COLORS, ALPHA, BLANK = "grey", "numbers", "palette", "colors", "alpha", "blank"
FAMILIES = {
    GREY: "greys",
    NUMBERS: "numbers of things",
    PALETTE: "a palette",
    COLORS: "colors",
    ALPHA: "its outline in the transparency",
}
WANTED = "expected black (0) and white (255, on the subject), or soft greys that reach both"
NAMES = {
    "P": "palette mode",
    "1": "one-bit mode",
    "L": "grey mode",
    "LA": "grey mode with alpha",
    "RGBA": "RGB with alpha",
}


@dataclass(frozen=True)
class Values:
    """What is in one mask file.

    Attributes:
        family: out of FAMILIES, or BLANK where there is nothing but 0; empty where the file is no mask.
        seen: in words, as in `4 values (0, 1, 2, 255) in palette mode`.
        numbers: the distinct values, sorted; of colors and of transparency none.
        low, high: the smallest and the largest grey.
        has_ground: whether most of the edge has the value 0, or is black or transparent.
        has_rim: whether IGNORED occurs only as a thin border.
        is_inverted: whether the edge is white and black lies inside.
        is_open: whether so few dark greys are in it that they may be numbers of things too.
    """

    family: str
    seen: str
    numbers: tuple[int, ...] = ()
    low: int = 255
    high: int = 0
    has_ground: bool = True
    has_rim: bool = False
    is_inverted: bool = False
    is_open: bool = False


@dataclass(frozen=True)
class MaskRule:
    """How the masks of a folder are read.

    Attributes:
        family: out of FAMILIES.
        animal: the values that are the subject; empty: all but 0 and `ignored`.
        ignored: a value that is neither subject nor background; None: none is.
        is_inverted: whether black, or what is transparent, is the subject.
        sentence: the same for people.
    """

    family: str = GREY
    animal: tuple[int, ...] = ()
    ignored: int | None = None
    is_inverted: bool = False
    sentence: str = ""

    def fault_of(self, file: MaskFile) -> str:
        """Why a mask cannot be read by this rule; empty where it can."""
        if _family(file) == self.family:
            return ""
        values = values_of(file)
        if values.family == BLANK or (values.is_open and self.family == NUMBERS):
            return ""
        return f"contains {values.seen}, where the others have {FAMILIES[self.family]}"

    def greys(self, file: MaskFile) -> ByteArray:
        """The subject in grey, uint8 (H, W): 255 on it, 0 elsewhere, soft greys between."""
        if self.family == GREY:
            return 255 - file.values if self.is_inverted else file.values
        if self.family == ALPHA:
            alpha = file.alpha if file.alpha is not None else np.full_like(file.values, 255)
            return 255 - alpha if self.is_inverted else alpha
        if self.family == COLORS:
            return _white(_packed(file) > 0)
        numbers = _numbers(file)
        inside = np.isin(numbers, self.animal) if self.animal else numbers > 0
        return _white(inside if self.ignored is None else inside & (numbers != self.ignored))


def values_of(file: MaskFile) -> Values:
    """What a mask file contains."""
    family = _family(file)
    low, high = int(file.values.min(initial=255)), int(file.values.max(initial=0))
    if not family:
        return Values("", f"{_seen(file)}{_why_not(file)}", (), low, high)
    numbers = _packed(file) if family == COLORS else _numbers(file)
    if family not in (COLORS, ALPHA) and not numbers.any():
        return Values(BLANK, _seen(file), (0,), low, high)
    ground = file.alpha == 0 if family == ALPHA and file.alpha is not None else numbers == 0
    seen = f"{_seen(file)} and keeps its outline in the transparency" if family == ALPHA else _seen(file)
    return Values(
        family,
        seen,
        () if family == ALPHA else tuple(int(value) for value in _distinct(numbers)[:MAX_VALUES]),
        low,
        high,
        has_ground=float(_edge(ground).mean()) > 0.5,
        has_rim=family in (NUMBERS, PALETTE) and _is_rim(numbers),
        is_inverted=family == GREY and _looks_inverted(file.values),
        is_open=family == GREY and high <= LOW and not file.is_lossy,
    )


def rule_of(masks: Sequence[tuple[str, Values]], stated: str = "") -> MaskRule:
    """How all masks of a folder are to be read.

    Args:
        masks: name and values of those looked at.
        stated: `mask_class` of MaskOptions.

    Raises DatasetError where they contain something else, differ from each other, or leave open what the subject is.
    """
    classes = classes_of(stated)
    _check_masks(masks)
    families = {values.family: (name, values) for name, values in masks if values.family != BLANK}
    greys = [(name, values) for name, values in masks if values.family == GREY]
    if greys and all(values.is_open for _, values in greys) and set(families) <= {GREY, NUMBERS}:
        families = {NUMBERS: families.get(NUMBERS, greys[0])}
    if len(families) > 1:
        pairs = "; ".join(f"{name} contains {values.seen}" for name, values in families.values())
        raise DatasetError(f"The masks differ in kind: {pairs}. Save all of them in one way.")
    family = next(iter(families), GREY)
    used = [(name, values) for name, values in masks if values.family != BLANK]
    if family == GREY:
        return _grey_rule(used, masks, stated, classes)
    if family == ALPHA:
        return _alpha_rule(used, stated, classes)
    if family == COLORS:
        return _colors_rule(used, stated)
    return _numbers_rule(used, family, stated, classes)


def classes_of(stated: str) -> tuple[int, ...]:
    """`1,2` → (1, 2); empty for `any` and for an empty text. Raises DatasetError for anything else."""
    if stated.strip() in ("", ANY):
        return ()
    try:
        return tuple(int(part) for part in stated.split(","))
    except ValueError as error:
        raise DatasetError(
            f"--mask-class takes values of the masks, such as 1 or 1,2, or {ANY} for all above 0; not '{stated}'."
        ) from error


def _check_masks(masks: Sequence[tuple[str, Values]]) -> None:
    bad = [(name, values) for name, values in masks if not values.family]
    if bad:
        name, values = bad[0]
        raise DatasetError(
            f"{len(bad):,} of {len(masks):,} looked at are no masks by their values. {name} contains {values.seen}; "
            f"{WANTED}."
        )


def _grey_rule(
    used: Sequence[tuple[str, Values]], masks: Sequence[tuple[str, Values]], stated: str, classes: tuple[int, ...]
) -> MaskRule:
    low = min((values.low for _, values in masks), default=0)
    high = max((values.high for _, values in masks), default=255)
    if low > LOW or high < HIGH:
        raise DatasetError(f"The values of the {len(masks):,} looked at lie between {low} and {high}; {WANTED}.")
    inverted = [name for name, values in used if values.is_inverted]
    distinct = sorted({value for _, values in used for value in values.numbers} | {0})
    text = f"2 values, {distinct[0]} and {distinct[1]}" if len(distinct) == 2 else f"greys from {low} to {high}"
    if classes and set(classes) not in ({0}, {255}, {1}, {65535}):
        raise DatasetError(
            f"The masks have {text}, so --mask-class takes 255 (white is the subject) or 0 (black is), not {stated}."
        )
    if not stated and len(inverted) * 2 >= len(used):
        raise DatasetError(
            f"{len(inverted):,} of {len(used):,} masks look inverted: their edge is white, with black inside, as "
            f"{inverted[0]}. State which is the subject: --mask-class 0 for black, --mask-class 255 for white."
        )
    is_inverted = set(classes) == {0}
    return MaskRule(GREY, (), None, is_inverted, f"{text}: {'black' if is_inverted else 'white'} is the subject")


def _alpha_rule(used: Sequence[tuple[str, Values]], stated: str, classes: tuple[int, ...]) -> MaskRule:
    solid = [name for name, values in used if not values.has_ground]
    if not stated and solid:
        raise DatasetError(
            f"{len(solid):,} of {len(used):,} masks are opaque at their edge, as {solid[0]}, so what is transparent "
            "may be the subject. State it: --mask-class 0 for what is transparent, --mask-class 255 for what is opaque."
        )
    if classes and set(classes) not in ({0}, {255}, {1}):
        raise DatasetError(f"Of masks in the transparency --mask-class takes 255 (opaque) or 0, not {stated}.")
    is_inverted = set(classes) == {0}
    what = "transparent" if is_inverted else "opaque"
    return MaskRule(ALPHA, (), None, is_inverted, f"outlines in the transparency: what is {what} is the subject")


def _colors_rule(used: Sequence[tuple[str, Values]], stated: str) -> MaskRule:
    distinct = {value for _, values in used for value in values.numbers if value}
    bad = [(name, values) for name, values in used if not values.has_ground]
    if stated != ANY and (stated or bad or len(distinct) > 1):
        name, values = (bad or used)[0]
        raise DatasetError(
            f"The masks have {len(distinct):,} colors. {name} contains {values.seen}, and nothing shows which of them "
            f"is the subject. Save the subject in white on black, or state --mask-class {ANY} if all but black are."
        )
    return MaskRule(COLORS, (), None, False, "colors on black: every color is the subject")


def _numbers_rule(used: Sequence[tuple[str, Values]], family: str, stated: str, classes: tuple[int, ...]) -> MaskRule:
    distinct = sorted({value for _, values in used for value in values.numbers})
    kind = "a palette" if family == PALETTE else "numbers"
    text = f"{kind} with {len(distinct):,} value{'' if len(distinct) == 1 else 's'}, {_first(distinct)}"
    if classes:
        missing = [value for value in classes if value not in distinct]
        if len(missing) == len(classes):
            raise DatasetError(f"The masks have {text}; none has the value {stated} of --mask-class.")
        return MaskRule(
            family,
            classes,
            None,
            False,
            f"{text}: {_first(classes)} {'is' if len(classes) == 1 else 'are'} the subject, as stated",
        )
    with_border = [values.has_rim for _, values in used if IGNORED in values.numbers]
    ignored = IGNORED if with_border and sum(with_border) * 5 >= len(with_border) * 4 and len(distinct) > 2 else None
    above = [value for value in distinct if value not in (0, ignored)]
    tail = f", {IGNORED} is a border that counts for nothing" if ignored is not None else ""
    if stated == ANY:
        return MaskRule(family, (), ignored, False, f"{text}: every value above 0 is the subject, as stated{tail}")
    bare = [name for name, values in used if not values.has_ground]
    is_open = len(above) > 1 and (family == PALETTE or IGNORED in distinct)
    if len(bare) * 2 >= len(used) or is_open:
        where = f", and 0 is not the background of {bare[0]}" if len(bare) * 2 >= len(used) else ""
        raise DatasetError(
            f"The masks have {text}{where}: which is the subject? State it: --mask-class N, or N,M for several, or "
            f"--mask-class {ANY} for all above 0{f' but the border of {IGNORED}' if ignored is not None else ''}."
        )
    what = f"{above[0]} is" if len(above) == 1 else "ids, each above 0 is"
    return MaskRule(family, (), ignored, False, f"{text}: {what} the subject{tail}")


def _family(file: MaskFile) -> str:
    if file.alpha is not None and not _alpha_agrees(file.values, file.alpha):
        return ALPHA if file.alpha.min() == 0 and file.alpha.max() >= WHITE else ""
    if file.mode == "P":
        return PALETTE if file.hue > MOST_HUE or _codes(file.values) else GREY
    if file.hue > MOST_HUE:
        return COLORS if not file.is_lossy and _has_few_colors(file) else ""
    if not _codes(file.values):
        return GREY
    return "" if file.is_lossy else NUMBERS


def _why_not(file: MaskFile) -> str:
    return ", which the compression of its format may have changed" if file.is_lossy else ""


def _numbers(file: MaskFile) -> Numbers:
    """The numbers of the file, (H, W): of a palette the indices, of a grey file the stored values."""
    if file.mode == "1" or file.stored.ndim == 3:
        return file.values
    return _stored_numbers(file)


def _stored_numbers(file: MaskFile) -> Numbers:
    if file.stored.dtype.kind == "f":
        return np.asarray(np.nan_to_num(file.stored, posinf=0, neginf=0), np.int64)
    return file.stored.astype(np.uint8) if file.stored.dtype == bool else file.stored


def _packed(file: MaskFile) -> Numbers:
    """Red, green and blue of each pixel in one number, (H, W); 0 where it is nearly black."""
    stored = file.stored if file.stored.ndim == 3 else np.repeat(file.values[..., None], 3, axis=2)
    colors = stored[..., :3].astype(np.int64)
    packed = colors[..., 0] << 16 | colors[..., 1] << 8 | colors[..., 2]
    return np.asarray(np.where(colors.max(axis=2) <= MOST_HUE, 0, packed), np.int64)


def _has_few_colors(file: MaskFile) -> bool:
    packed = _packed(file)
    part = packed.ravel()[:: max(1, packed.size // SAMPLED)]
    return len(np.unique(part)) <= MAX_COLORS and len(np.unique(packed)) <= MAX_COLORS


def _distinct(numbers: Numbers) -> Numbers:
    """The distinct values, sorted; counted where they are few, since sorting millions of pixels takes long."""
    if numbers.min(initial=0) >= 0 and numbers.max(initial=0) < COUNTED:
        return np.asarray(np.flatnonzero(np.bincount(numbers.ravel())))
    return np.unique(numbers)


def _white(inside: NDArray[np.bool_]) -> ByteArray:
    return np.where(inside, np.uint8(255), np.uint8(0))


def _edge(values: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def _looks_inverted(values: ByteArray) -> bool:
    edge = _edge(values >= WHITE)
    return bool(edge.mean() >= LEAST_EDGE and (values <= LOW).mean() >= LEAST_DARK)


def _is_rim(numbers: Numbers) -> bool:
    """Whether IGNORED is a thin border between the things and their background, and not a thin thing."""
    import cv2

    where = (numbers == IGNORED).astype(np.uint8)
    if not where.any():
        return False
    side = max(RIM_KERNEL, round(max(where.shape) * RIM_SHARE)) | 1
    is_thin = cv2.erode(where, np.ones((side, side), np.uint8)).sum() <= LEAST_LEFT * where.sum()
    things = ((numbers > 0) & (numbers != IGNORED)).astype(np.uint8)
    near_rim, near_things = (
        int((cv2.dilate(part, np.ones((3, 3), np.uint8)) > 0)[numbers == 0].sum()) for part in (where, things)
    )
    return bool(is_thin and near_rim > near_things)


def _alpha_agrees(values: ByteArray, alpha: ByteArray) -> bool:
    """Whether the greys alone give the mask: black wherever the image is transparent, and not of one value."""
    clear = values.astype(np.int32) * (255 - alpha.astype(np.int32)) // 255
    return bool(clear.max(initial=0) <= LOW and np.ptp(values) > 0)


def _codes(values: ByteArray) -> bool:
    """Whether values are numbers of things, such as ids or classes, instead of greys.

    Ids fill areas evenly and jump at their edges. Soft greys lie along edges, or pass in small steps from one to the
    next, or are a little more than black where a network is nearly sure.
    """
    import cv2

    counts = np.bincount(values.ravel(), minlength=256)
    between, white = counts[1:WHITE], int(counts[WHITE:].sum())
    middle, pixels = int(counts[SMALL_IDS + 1 : WHITE].sum()), int(between.sum())
    if not pixels:
        return False
    if white and not middle and pixels >= MANY_PIXELS:
        return True
    kernel = np.ones((3, 3), np.uint8)
    flat = (cv2.dilate(values, kernel) == cv2.erode(values, kernel)) & (values > 0) & (values < WHITE)
    if flat.sum() <= MOST_FLAT * pixels:
        return False
    levels = np.unique(values[flat])
    largest = int(levels.max())
    if white and middle >= LEAST_MIDDLE * white and largest <= NEARLY_BLACK:
        return False
    return len(levels) < LEAST_LEVELS or _step(values, levels) > max(1.0, LARGEST_STEP * largest)


def _step(values: ByteArray, levels: ByteArray) -> float:
    """The difference that three in four changes between two neighbours, one of these levels, stay below."""
    wide, level = values.astype(np.int16), np.isin(values, levels)
    apart_at: list[NDArray[np.int16]] = []
    for here, before in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        apart = np.abs(wide[here] - wide[before])
        apart_at.append(apart[(apart > 0) & (level[here] | level[before])])
    steps = np.concatenate(apart_at)
    return float(np.quantile(steps, 0.75)) if len(steps) else 0.0


def _seen(file: MaskFile) -> str:
    """As in `4 values (0, 1, 2, 255) in palette mode`."""
    where = NAMES.get(file.mode, f"{file.mode} mode")
    if file.stored.ndim == 3:
        rows = np.unique(file.stored.reshape(-1, file.stored.shape[2]), axis=0)
        texts = ["/".join(map(str, row)) for row in rows[:LISTED].tolist()]
        return _listed("color", texts, len(rows), where)
    distinct = _distinct(_stored_numbers(file))
    return _listed("value", [str(int(value)) for value in distinct[:LISTED]], len(distinct), where)


def _listed(noun: str, texts: list[str], count: int, where: str) -> str:
    more = ", …" if count > len(texts) else ""
    return f"{count:,} {noun}{'' if count == 1 else 's'} ({', '.join(texts)}{more}) in {where}"


def _first(numbers: Sequence[int]) -> str:
    more = ", …" if len(numbers) > LISTED else ""
    return f"{', '.join(str(value) for value in numbers[:LISTED])}{more}"
