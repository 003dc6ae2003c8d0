"""How images become the input of a network, as timm's and Hugging Face's configurations say it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from whalecam.config import INTERPOLATIONS
from whalecam.data.geometry import Resize, resize_of
from whalecam.errors import ModelError

Stats = tuple[float, float, float]
MODES = {"center": "crop", "squash": "squish", "border": "pad"}
"""timm's names of ways to resize, and ours."""
RESAMPLES = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Pillow's filters by their number, as transformers keeps them."""
FINE = 384
"""From this side on, transformers' ConvNeXt input is the whole image."""


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What a checkpoint says of the input; None where it says nothing.

    Attributes:
        size: side of the input, px.
        mean, std: per channel of inputs in [0, 1].
        resize: of RESIZES.
        crop_share: of the sides of what `resize` shows, the central part that the network sees, in (0, 1].
        interpolation: of INTERPOLATIONS.
        unused: what it says and is not done here.
    """

    size: int | None = None
    mean: Stats | None = None
    std: Stats | None = None
    resize: str | None = None
    crop_share: float | None = None
    interpolation: str | None = None
    unused: tuple[str, ...] = ()

    def filled(self, other: "Preparation") -> "Preparation":
        """This one, with what another says where it says nothing."""
        names = ("size", "mean", "std", "resize", "crop_share", "interpolation")
        empty = {name: getattr(other, name) for name in names if getattr(self, name) is None}
        return replace(self, **empty, unused=(*self.unused, *other.unused))


UNSAID = Preparation()
"""Of a checkpoint that says nothing of its input."""


def resize_text(kind: str | None, crop_share: float | None, interpolation: str | None) -> str:
    """The text of `geometry.Resize`; None: `squish`, or `crop` where a share is given, the whole, `bilinear`.

    Raises ModelError for an unknown way, share or interpolation.
    """
    share = 1.0 if crop_share is None else crop_share
    kind = kind or ("squish" if share == 1 else "crop")
    try:
        return str(resize_of(str(Resize(kind, share, interpolation or "bilinear"))))
    except ValueError as error:
        raise ModelError(f"Images cannot be prepared so: {error}.") from error


def of_timm(frame: object) -> Preparation:
    """What timm's `pretrained_cfg`, or the options of its training, say."""
    if not isinstance(frame, Mapping):
        return Preparation()
    sides, img_size = frame.get("input_size"), frame.get("img_size")
    size = sides[-1] if isinstance(sides, list | tuple) and len(sides) == 3 else img_size
    share, mode, word = frame.get("crop_pct"), frame.get("crop_mode"), frame.get("interpolation")
    known = word if word in INTERPOLATIONS else None
    is_cut = isinstance(share, int | float) and 0 < share <= 1
    unused = [f"interpolation {word}"] if word and known is None else []
    unused += [f"crop_mode {mode}"] if mode and mode not in MODES else []
    return Preparation(
        size=size if isinstance(size, int) else None,
        mean=three(frame.get("mean")),
        std=three(frame.get("std")),
        resize=MODES.get(str(mode)) or ("crop" if is_cut else None),
        crop_share=float(share) if is_cut and share is not None else None,
        interpolation=known,
        unused=tuple(unused),
    )


def of_transformers(content: Mapping[str, Any]) -> Preparation:
    """What `preprocessor_config.json` of transformers says."""
    if not content:
        return Preparation()
    is_normalized, factor = content.get("do_normalize", True), content.get("rescale_factor", 1 / 255)
    resample = content.get("resample")
    is_known = isinstance(resample, int) and 0 <= resample < len(RESAMPLES)
    unused = [] if abs(float(factor) - 1 / 255) < 1e-6 else [f"rescale_factor {factor}"]
    unused += [] if is_known or resample is None else [f"resample {resample}"]
    plain = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return replace(
        _shape_of(content),
        mean=three(content.get("image_mean")) if is_normalized else plain[0],
        std=three(content.get("image_std")) if is_normalized else plain[1],
        interpolation=RESAMPLES[int(str(resample))] if is_known else None,
        unused=tuple(unused),
    )


def _shape_of(content: Mapping[str, Any]) -> Preparation:
    """Side, way to resize and share: a shortest edge and a central crop, or height and width."""
    short, fixed = _side(content.get("size"), "shortest_edge"), _side(content.get("size"), "height")
    crop = _side(content.get("crop_size"), "height") if content.get("do_center_crop") else None
    share = content.get("crop_pct")
    if short and isinstance(share, int | float) and not crop:  # ConvNeXt
        is_cut = short < FINE
        return Preparation(size=short, resize="crop" if is_cut else "squish", crop_share=share if is_cut else 1.0)
    if short and crop:
        return Preparation(size=crop, resize="crop", crop_share=min(1.0, crop / short))
    if fixed and crop:
        return Preparation(size=crop, resize="squish", crop_share=min(1.0, crop / fixed))
    if fixed:
        return Preparation(size=fixed, resize="squish")
    return Preparation(size=short or crop)


def _side(value: object, name: str) -> int | None:
    """A side in px: a number, or the one of this name, where height and width are equal."""
    if isinstance(value, Mapping):
        if name == "height" and value.get("height") != value.get("width"):
            return None
        value = value.get(name)
    elif name == "shortest_edge":
        return None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def three(value: object) -> Stats | None:
    """Three numbers, one for each channel."""
    if not isinstance(value, list | tuple) or len(value) != 3:
        return None
    if not all(isinstance(number, int | float) for number in value):
        return None
    red, green, blue = value
    return float(red), float(green), float(blue)
