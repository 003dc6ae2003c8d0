"""Reading one image file, whatever it is, as an upright RGB or grey image."""

import io
import stat
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from whalecam.arrays import ByteArray, Sample
from whalecam.config import MAX_PIXELS, THUMB_SIZE
from whalecam.data.formats import HEAD, NEEDS_HEIF, NOT_READ, is_heif, reads_heif, unread_format
from whalecam.data.geometry import TURNED
from whalecam.errors import DatasetError

MISSING, ZERO, NO_IMAGE = "missing file", "zero bytes", "not an image"
LARGE, TRUNCATED, UNREADABLE = "too large", "truncated", "unreadable"
ORIENTATION_TAG = 0x0112
CAMERA_TAGS, SERIAL_TAG = (0x010F, 0x0110), 0xA431
TIME_TAGS = (0x9003, 0x9004)
EXIF_FOLDER, GPS_FOLDER = 0x8769, 0x8825
# Of Pillow's readers only these: it knows a file by its first bytes, and others (EPS) start programs.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000")
LOSSY = ("JPEG", "WEBP", "AVIF", "JPEG2000", "HEIF")
GREY_MODES = ("1", "L", "I", "I;16", "I;16B", "I;16L", "F")
SHOWN, SMALL_FILE = (("JPEG", "RGB"), ("JPEG", "L")), 32_768
"""What every browser shows as it is, and up to how many bytes."""
BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class Header:
    """What a file says of itself before its pixels.

    Attributes:
        format: as Pillow names it, as in `JPEG`.
        tables: the JPEG quantisation tables, 64 numbers each, luminance first; empty for other formats. The larger the
            numbers, the coarser the image was saved; cameras and programs have tables of their own.
    """

    format: str
    tables: tuple[tuple[int, ...], ...] = ()


class Exif(NamedTuple):
    """What a camera wrote into a file; each empty or None where it is absent or unusable.

    Attributes:
        camera: make, model and serial number of the body, as far as they are there.
        time: when it was taken, as EXIF writes it: `2024:06:30 12:00:00`.
        place: latitude and longitude in degrees, north and east positive.
    """

    camera: str = ""
    time: str = ""
    place: tuple[float, float] | None = None


class Shape(NamedTuple):
    """Width and height of the upright image in pixels, and the EXIF orientation (1 to 8) that its file is stored in."""

    width: int
    height: int
    orientation: int


@dataclass(frozen=True)
class MaskFile:
    """A mask as its file has it, upright.

    Attributes:
        values: uint8 (H, W), the greys, as `read_grey` gives them.
        stored: the numbers of the file, (H, W) or (H, W, channels); of a palette image the indices.
        mode: as Pillow names it: `1`, `L`, `P`, `RGB`, `I;16` …
        hue: the largest difference between two channels of a pixel, 0 to 255; 0 for a grey image.
        alpha: uint8 (H, W), 255 where opaque; None for a file without transparency.
        orientation: the EXIF orientation (1 to 8) of the mask's own file, undone in all arrays.
        is_lossy: whether the format changes values, as JPEG does.
    """

    values: ByteArray
    stored: NDArray[Any]
    mode: str
    hue: int = 0
    alpha: ByteArray | None = None
    orientation: int = 1
    is_lossy: bool = False


class _Opened(NamedTuple):
    """Pixels, the EXIF orientation they were stored in, the file itself where it is small and can be shown as it is,
    and its full upright (height, width) where the pixels are fewer."""

    pixels: ByteArray
    orientation: int
    encoded: bytes
    whole: tuple[int, int] | None


def read_sample(path: Path, image: str, need: int | None = None) -> Sample:
    """An upright RGB image. Raises DatasetError whose message is one of the reasons of this module.

    Args:
        need: how many pixels each side must keep. A JPEG with twice as many, or more, is decoded at a half, a quarter
            or an eighth of its sides, which takes as much less time; None: everything.
    """
    return Sample(image, *_open(Path(path), _coloured, need))


def read_grey(path: Path) -> ByteArray:
    """An upright grey image, uint8 (H, W); for masks. Raises DatasetError as `read_sample`."""
    return _open(Path(path), _grey).pixels


def read_mask(path: Path) -> MaskFile:
    """A mask's greys and what else its file says. Raises DatasetError as `read_sample`."""
    kept: list[Image.Image] = []

    def convert(image: Image.Image) -> Image.Image:
        kept.append(image.copy())
        return _grey(image)

    opened, image = _open(Path(path), convert), kept[0]
    is_lossy = _format(Path(path)) in LOSSY
    mask = MaskFile(opened.pixels, np.asarray(image), image.mode, orientation=opened.orientation, is_lossy=is_lossy)
    if image.mode in GREY_MODES and "transparency" not in image.info:
        return mask
    colors = np.asarray(image.convert("RGBA")).astype(np.int16)
    hue = int(np.ptp(colors[..., :3], axis=2).max(initial=0))
    alpha = colors[..., 3].astype(np.uint8)
    return replace(mask, hue=hue, alpha=alpha if alpha.min(initial=255) < 255 else None)


def read_quantization(path: Path) -> list[int] | None:
    """The 64 steps by which a JPEG's lightness was rounded, of its first table; None for a file of another format.

    Raises DatasetError as `read_sample`.
    """
    with _decoding(path), _image(path) as image:
        tables = getattr(image, "quantization", None)
        return list(tables[min(tables)]) if image.format == "JPEG" and tables else None


def _format(path: Path) -> str:
    with _decoding(path), _image(path) as image:
        return image.format or ""


def read_shape(path: Path) -> Shape:
    """Size and orientation of an image; no pixel of a JPEG is decoded. Raises DatasetError as `read_sample`."""
    _length(path)
    with _decoding(path), _image(path) as image:
        tiff, (width, height) = image.format == "TIFF", image.size
        orientation = _orientation(image)
    if orientation >= TURNED and not tiff:  # Pillow gives the size of a TIFF as it is shown
        width, height = height, width
    return Shape(width, height, orientation)


def read_header(path: Path) -> Header:
    """Raises DatasetError as `read_sample`."""
    _length(path)
    with _decoding(path), _image(path) as image:
        tables = getattr(image, "quantization", None) or {}
        return Header(image.format or "", tuple(tuple(tables[at]) for at in sorted(tables)))


def read_exif(path: Path) -> Exif:
    """What the camera wrote; empty for a file without it, and for one that cannot be read. Never raises."""
    try:
        with _decoding(path), _image(path) as image:
            # To look for EXIF behind the pixels of a PNG, Pillow would decode all of them.
            tags = Image.Exif() if image.format == "PNG" and "exif" not in image.info else image.getexif()
            shot, place = tags.get_ifd(EXIF_FOLDER), tags.get_ifd(GPS_FOLDER)
            camera = dict.fromkeys(_text(part) for part in (*map(tags.get, CAMERA_TAGS), shot.get(SERIAL_TAG)))
            time = next((text for tag in TIME_TAGS if (text := _text(shot.get(tag)))), "")
            return Exif(" ".join(part for part in camera if part), time, _degrees(place))
    except DatasetError:
        return Exif()


def _text(value: object) -> str:
    """A tag as a person would read it."""
    return " ".join(str(value).replace("\0", " ").split()) if isinstance(value, str) else ""


def _degrees(gps: Mapping[int, Any]) -> tuple[float, float] | None:
    """Latitude and longitude. None without both, outside the globe, and at 0, 0, which cameras write without a fix."""
    place = []
    for tag, negative in ((2, "S"), (4, "W")):
        try:
            degrees, minutes, seconds = (float(part) for part in gps[tag])
        except BROKEN:
            return None
        value = degrees + minutes / 60 + seconds / 3600
        place.append(-value if _text(gps.get(tag - 1)).upper().startswith(negative) else value)
    latitude, longitude = place
    if (latitude, longitude) == (0, 0) or not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    return latitude, longitude


def _open(path: Path, convert: Callable[[Image.Image], Image.Image], need: int | None = None) -> _Opened:
    """Decode to the end, undo the EXIF rotation, convert."""
    length = _length(path)
    if length == 0:
        raise DatasetError(ZERO)
    with _decoding(path):
        kept = path.read_bytes() if length <= SMALL_FILE else b""
        with _image(path, kept) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DatasetError(LARGE)
            if image.format == "PNG":
                image.load()  # its getexif decodes: an error passed over there would let half an image through
            orientation = _orientation(image)  # before load: Pillow turns a TIFF as it loads, and forgets
            width, height = image.size
            if need is not None:
                image.draft(None, (need, need))
            reduced = image.size != (width, height)  # before load too, which turns the size of some TIFFs
            image.load()
            shown = max(width, height) <= THUMB_SIZE and orientation == 1 and (image.format, image.mode) in SHOWN
            whole = (width, height) if orientation >= TURNED else (height, width)
            upright = np.array(convert(_upright(image, orientation)))
            return _Opened(upright, orientation, kept if shown else b"", whole if reduced else None)


def _image(path: Path, kept: bytes = b"") -> Image.Image:
    """A file opened by Pillow. Raises DatasetError that names the format of an image that is not read."""
    head = kept[:HEAD] or _head(path)
    source = io.BytesIO(kept) if kept else path
    if is_heif(head):
        return _heif(source)
    if name := unread_format(head, path.suffix):
        raise DatasetError(f"{name} image, {NOT_READ}")
    return Image.open(source, formats=FORMATS)


def _heif(source: io.BytesIO | Path) -> Image.Image:
    if not reads_heif():
        raise DatasetError(f"HEIC image, {NEEDS_HEIF}")
    try:
        return Image.open(source, formats=("HEIF",))
    except BROKEN as error:
        raise DatasetError(f"HEIC image, {UNREADABLE}") from error


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Whatever Pillow raises for a broken file, as one of the reasons of this module."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise DatasetError(LARGE) from error
    except UnidentifiedImageError as error:
        raise DatasetError(NO_IMAGE) from error
    except BROKEN as error:
        words = str(error).lower()
        cut = any(word in words for word in ("truncated", "unexpected end", "incomplete"))
        raise DatasetError(TRUNCATED if cut else UNREADABLE) from error


def _length(path: Path) -> int:
    """Bytes of a file. Raises DatasetError for what is not there, or not a file."""
    try:
        state = path.stat()
    except (OSError, ValueError) as error:  # also a name that no file system takes
        raise DatasetError(MISSING) from error
    if not stat.S_ISREG(state.st_mode):
        raise DatasetError(NO_IMAGE)
    return state.st_size


def _orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except BROKEN:
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image if orientation == 1 else ImageOps.exif_transpose(image)


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float greys → 8 bits, since Pillow would clip them.

    White is the smallest that no value exceeds of 1 (floats only), 255, 65535, and those of cameras with 10, 12 and 14
    bits, which are stored in 16; else the largest value.
    """
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.nan_to_num(np.asarray(image, np.float64), posinf=0, neginf=0)
    top = values.max(initial=0)
    whites = (1.0, 255.0, 65535.0) if image.mode.startswith("F") else (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
    white = next((white for white in whites if top <= white), top)
    return Image.fromarray((np.clip(values / white, 0, 1) * 255).round().astype(np.uint8))


def _grey(image: Image.Image) -> Image.Image:
    # Pillow knows no way from Lab to grey but through RGB.
    return (image.convert("RGB") if image.mode == "LAB" else _eight_bit(image)).convert("L")


def _coloured(image: Image.Image) -> Image.Image:
    """RGB, with transparency laid over white as a browser would."""
    image = _eight_bit(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        clear = image.convert("RGBA")
        ground = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(ground, clear).convert("RGB")
    return image.convert("RGB")
