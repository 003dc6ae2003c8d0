"""What a file is by its first bytes, where it is an image of a format that is not read."""

from functools import cache
from importlib.util import find_spec

NOT_READ, NEEDS_HEIF = "not read", "needs the extra heif"
HEAD = 132
"""Bytes that decide, of DICOM the last four."""
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
STARTS = (
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"FUJIFILMCCD-RAW", "Fujifilm raw"),
    (b"IIRO", "Olympus raw"),
    (b"IIRS", "Olympus raw"),
    (b"MMOR", "Olympus raw"),
    (b"IIU\x00", "Panasonic raw"),
    (b"FOVb", "Sigma raw"),
    (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"<svg", "SVG"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"SIMPLE  =", "FITS"),
    (b"\x93NUMPY", "NumPy"),
    (b"P5", "PGM"),
    (b"P6", "PPM"),
)
RAW_SUFFIXES = {
    ".nef": "Nikon raw",
    ".nrw": "Nikon raw",
    ".arw": "Sony raw",
    ".sr2": "Sony raw",
    ".dng": "DNG raw",
    ".pef": "Pentax raw",
    ".srw": "Samsung raw",
    ".cr2": "Canon raw",
    ".3fr": "Hasselblad raw",
    ".rwl": "Leica raw",
}
"""Raw formats that are TIFF files, whose first image is a small preview."""
TIFF_STARTS = (b"II*\x00", b"MM\x00*")


def unread_format(head: bytes, suffix: str) -> str:
    """The name of the format of an image that is not read, as in `Canon raw`; empty for everything else.

    Args:
        head: the first HEAD bytes.
        suffix: of the file's name, which alone tells a raw file from the TIFF that it begins as.
    """
    if head[4:12] == b"ftypcrx ":
        return "Canon raw"
    if head[:4] in TIFF_STARTS:
        return "Canon raw" if head[8:10] == b"CR" else RAW_SUFFIXES.get(suffix.lower(), "")
    if head[128:132] == b"DICM":
        return "DICOM"
    return next((name for start, name in STARTS if head.startswith(start)), "")


def is_heif(head: bytes) -> bool:
    """Whether a file begins as HEIC does: the photographs of many phones, whatever they are called."""
    return head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS


@cache
def reads_heif() -> bool:
    """Whether HEIC can be read, which needs pillow-heif; registers it with Pillow when first asked."""
    if find_spec("pillow_heif") is None:
        return False
    from pillow_heif import register_heif_opener

    register_heif_opener()
    return True
