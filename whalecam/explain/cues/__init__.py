"""Cues beyond the background's looks: properties of the whole image, and patches beside the object."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from whalecam.arrays import ByteArray
from whalecam.data.readers.registered import with_offered
from whalecam.explain.cues.border import border, bordered
from whalecam.explain.cues.framing import framing, reframed, scale, scaled
from whalecam.explain.cues.jpeg import jpeg_quality, recompressed
from whalecam.explain.cues.light import balanced, exposed, exposure, white_balance
from whalecam.explain.cues.seen import Seen, Values
from whalecam.explain.cues.sharpness import sharpened, sharpness

__all__ = ["IMAGE_PROPERTIES", "ImageProperty", "Seen", "Values", "image_properties"]


@dataclass(frozen=True)
class ImageProperty:
    """A property of a whole image that can be measured and exchanged.

    Attributes:
        measure: an image → its value; None where the image has none, as without an object.
        edit: (image, value of a donor) → the image with that value, uint8 of the same shape, all else as it was as far
            as can be. With the image's own value it is the null edit, which only costs what the editing costs.
        is_exchangeable: whether it is tested by giving the image the value of images of other labels.
        is_lendable: whether it is tested by giving images of other labels the value of the image: where the edit cannot
            bring every image to every value, as detail that is lost cannot be given back. Highlights are lost in some
            images alone, so exposure is tested both ways.
    """

    measure: Callable[[Seen], Values | None]
    edit: Callable[[Seen, Values], ByteArray]
    is_exchangeable: bool = True
    is_lendable: bool = False


IMAGE_PROPERTIES: Mapping[str, ImageProperty] = {
    "sharpness": ImageProperty(sharpness, sharpened, is_exchangeable=False, is_lendable=True),
    "jpeg_quality": ImageProperty(jpeg_quality, recompressed, is_exchangeable=False, is_lendable=True),
    "exposure": ImageProperty(exposure, exposed, is_lendable=True),
    "white_balance": ImageProperty(white_balance, balanced),
    "scale": ImageProperty(scale, scaled, is_exchangeable=False, is_lendable=True),
    "framing": ImageProperty(framing, reframed),
    "border": ImageProperty(border, bordered),
}
"""Name → property. Other packages offer theirs under the entry point `whalecam.image_properties`."""


def image_properties() -> dict[str, ImageProperty]:
    """All properties of this package and those that other packages offer."""
    return with_offered(IMAGE_PROPERTIES, "whalecam.image_properties")
