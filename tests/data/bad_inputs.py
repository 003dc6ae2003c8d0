"""A corpus of bad inputs: each must end in one clear sentence or in rows with a reason, never in a traceback."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

HEAD = "image,species,individual_id\n"
GOOD = "good.jpg,orca,a1\n"


@dataclass(frozen=True)
class BadInput:
    """`expected`: "error" (one sentence for the whole file) or "rows" (opens; `reasons` per bad row, where known)."""

    name: str
    csv: Path
    images: Path
    expected: str
    reason: str = ""


def picture(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).convert(mode)


def encoded(form: str, mode: str = "RGB", size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    buffer = io.BytesIO()
    picture(mode, size).save(buffer, form, **options)
    return buffer.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its few bytes of pixels cannot fill."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def broken_exif() -> bytes:
    return encoded("JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")


def orientation(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return encoded("JPEG", exif=exif.tobytes())


CSV_ERRORS: dict[str, bytes] = {
    "empty": b"",
    "blank lines": b"\n\n  \n",
    "only a header": HEAD.encode(),
    "no image column": b"picture,species\na.jpg,orca\n",
    "no label column": b"image,kind\na.jpg,orca\n",
    "no header at all": b"a.jpg,orca,1\nb.jpg,beluga,2\n",
    "NUL bytes": b"image,species\0\na.jpg,orca\0\n",
    "UTF-16 without a mark": (HEAD + GOOD).encode("utf-16-le"),
    "a PNG": encoded("PNG"),
    "a JPEG": encoded("JPEG"),
    "JSON": b'{"image": ["a.jpg"], "label": ["orca"]}',
    "HTML": b"<html><body><table><tr><td>image</td></tr></table></body></html>",
    "a pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07species\x94.",
    "a damaged gzip": b"\x1f\x8b" + bytes(60),
    "a Parquet file cut short": b"PAR1" + bytes(60),
    "a zip": b"PK\x03\x04" + bytes(60),
    "an unclosed quote": HEAD.encode() + b'"good.jpg,orca,1\nb.jpg,beluga,2\n',
    "too many fields": HEAD.encode() + b"good.jpg,orca,1,2,3,4\n",
    "too many fields later": (HEAD + GOOD).encode() + b"b.jpg,orca,1,2,3\n",
    "YAML": b"- image: a.jpg\n  species: orca\n",
    "UTF-32": (HEAD + GOOD).encode("utf-32"),
    "UTF-16 cut short": (HEAD + GOOD).encode("utf-16")[:-1],
    "a line end in a column name": b'image,"spe\ncies"\ngood.jpg,orca\n',
    "a column name of 9000 letters": b"image," + b"x" * 9000 + b"\ngood.jpg,orca\n",
    "terminal codes in a column name": b"image,\x1b[31mspecies\ngood.jpg,orca\n",
}

CSV_ROWS: dict[str, bytes] = {
    "latin-1": HEAD.encode() + "größe.jpg,orca,1\n".encode("latin-1"),
    "a header in capitals": b"IMAGE,SPECIES\na.jpg,orca\n",
    "a comment": b"# made by hand\n" + (HEAD + GOOD).encode(),
    "a line that states the delimiter": b"sep=;\r\n" + (HEAD + GOOD).replace(",", ";").encode(),
    "a byte order mark": b"\xef\xbb\xbf" + (HEAD + GOOD).encode(),
    "UTF-16 with a mark": (HEAD + GOOD).encode("utf-16"),
    "semicolons": (HEAD + GOOD).replace(",", ";").encode(),
    "tabs": (HEAD + GOOD).replace(",", "\t").encode(),
    "CRLF": (HEAD + GOOD).replace("\n", "\r\n").encode(),
    "no last line end": (HEAD + GOOD).rstrip().encode(),
    "short rows": (HEAD + GOOD).encode() + b"b.jpg\n",
    "a missing file": (HEAD + GOOD).encode() + b"gone.jpg,orca,1\n",
    "a row twice": (HEAD + GOOD + GOOD).encode(),
    "an empty label": (HEAD + GOOD).encode() + b"b.jpg,,1\n",
    "a label of blanks": (HEAD + GOOD).encode() + b"b.jpg,   ,1\n",
    "an empty name": (HEAD + GOOD).encode() + b",orca,1\n",
    "a way out": (HEAD + GOOD).encode() + b"../../etc/passwd,orca,1\n",
    "an absolute path": (HEAD + GOOD).encode() + b"/etc/passwd,orca,1\n",
    "a Windows path": (HEAD + GOOD).encode() + b"C:\\Windows\\x.jpg,orca,1\n",
    "a home path": (HEAD + GOOD).encode() + b"~/x.jpg,orca,1\n",
    "a link out of the folder": (HEAD + GOOD).encode() + b"link.jpg,orca,1\n",
    "numbers as labels": HEAD.encode() + b"good.jpg,0012,7\n",
    "markup as a label": HEAD.encode() + b"good.jpg,<script>alert(1)</script>,1\n",
    "a formula as a label": HEAD.encode() + b'good.jpg,"=cmd|/c calc",1\n',
    "markdown as a label": HEAD.encode() + b"good.jpg,[x](javascript:alert(1)) **b** $x$ :fire:,1\n",
    "a line end in a name": (HEAD + GOOD).encode() + b'"b\n.jpg",orca,1\n',
    "a name of 5000 letters": (HEAD + GOOD).encode() + b"x" * 5000 + b".jpg,orca,1\n",
    "a column twice": b"image,species,species\ngood.jpg,orca,beluga\n",
    "no individuals": b"image,species\ngood.jpg,orca\n",
    "nan as a label": HEAD.encode() + b"good.jpg,nan,NA\n",
    "other alphabets": HEAD.encode() + "good.jpg,косатка 🐋,Ω\n".encode(),
    "right-to-left marks": HEAD.encode() + "good.jpg,or\u202eca,1\n".encode(),
    "pipes": (HEAD + GOOD).replace(",", "|").encode(),
    "old Mac line ends": (HEAD + GOOD).replace("\n", "\r").encode(),
    "a huge field": HEAD.encode() + b"good.jpg," + b"x" * 300_000 + b",1\n",
    "a namesake in another folder": (HEAD + GOOD).encode() + b"three/only.jpg,orca,1\n",
    "two files of one name": (HEAD + GOOD).encode() + b"twice.jpg,orca,1\n",
}

PICTURES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "zero bytes": ("x.jpg", lambda: b"", "zero bytes"),
    "a truncated JPEG": ("x.jpg", lambda: encoded("JPEG", size=(400, 300))[:4000], "truncated"),
    "a truncated PNG": ("x.png", lambda: encoded("PNG", size=(400, 300))[:4000], "truncated"),
    "a truncated WebP": ("x.webp", lambda: encoded("WEBP", size=(400, 300))[:4000], "unreadable"),
    "a truncated TIFF": ("x.tif", lambda: encoded("TIFF", size=(400, 300))[:4000], "truncated"),
    "text": ("x.jpg", lambda: b"this is no image", "not an image"),
    "HTML": ("x.jpg", lambda: b"<html>404</html>", "not an image"),
    "a pickle": ("x.jpg", lambda: b"\x80\x04\x95\x00.", "not an image"),
    "one byte": ("x.jpg", lambda: b"\xff", "not an image"),
    "a JPEG's first bytes": ("x.jpg", lambda: b"\xff\xd8\xff\xe0", "not an image"),
    "a bomb": ("x.png", lambda: png_claiming(60000, 60000), "too large"),
    "pixels missing": ("x.png", lambda: png_claiming(300, 300), "truncated"),
    "no width": ("x.png", lambda: png_claiming(0, 10), "not an image"),
    "a corrupt zlib stream": ("x.png", lambda: encoded("PNG")[:41] + b"\xff" * 20 + encoded("PNG")[61:], "unreadable"),
    "a PNG with damaged pixels": (
        "x.png",
        lambda: encoded("PNG")[:60] + b"\0" * 40 + encoded("PNG")[100:],
        "unreadable",
    ),
    "a broken EXIF": ("x.jpg", broken_exif, "ok"),
    "orientation 9": ("x.jpg", lambda: orientation(9), "ok"),
    "orientation 6": ("x.jpg", lambda: orientation(6), "ok"),
    "one pixel": ("x.png", lambda: encoded("PNG", size=(1, 1)), "ok"),
    "a thin line": ("x.png", lambda: encoded("PNG", size=(1, 3000)), "ok"),
    "CMYK": ("x.jpg", lambda: encoded("JPEG", "CMYK"), "ok"),
    "grey": ("x.png", lambda: encoded("PNG", "L"), "ok"),
    "a palette": ("x.png", lambda: encoded("PNG", "P"), "ok"),
    "one bit": ("x.png", lambda: encoded("PNG", "1"), "ok"),
    "transparent": ("x.png", lambda: encoded("PNG", "RGBA"), "ok"),
    "an animation": ("x.gif", lambda: encoded("GIF", "P", save_all=True, append_images=[picture("P")]), "ok"),
    "a PNG called JPEG": ("x.jpg", lambda: encoded("PNG"), "ok"),
    "a float TIFF": ("x.tif", lambda: encoded("TIFF", "F"), "ok"),
    "a 16-bit PNG": ("x.png", lambda: encoded("PNG", "I;16"), "ok"),
    "a PostScript file": (
        "x.jpg",
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "PostScript image, not read",
    ),
    "an SVG": (
        "x.png",
        lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "SVG image, not read",
    ),
    "a huge thin line": ("x.png", lambda: encoded("PNG", size=(1, 5000)), "ok"),
    "a clear palette": ("x.png", lambda: encoded("PNG", "P", transparency=0), "ok"),
    "a TIFF called PNG": ("x.png", lambda: encoded("TIFF"), "ok"),
    "a CMYK TIFF": ("x.tif", lambda: encoded("TIFF", "CMYK"), "ok"),
    "a phone's JPEG of two images": (
        "x.jpg",
        lambda: encoded("MPO", save_all=True, append_images=[picture()]),
        "ok",
    ),
    "JPEG 2000": ("x.jp2", lambda: encoded("JPEG2000"), "ok"),
    "an AVIF called JPEG": ("x.jpg", lambda: encoded("AVIF"), "ok"),
    "a damaged HEIC": ("x.heic", lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200), "HEIC image, unreadable"),
    "a Nikon raw": ("x.nef", lambda: encoded("TIFF"), "Nikon raw image, not read"),
    "a Canon raw": ("x.jpg", lambda: b"\0\0\0\x18ftypcrx " + bytes(200), "Canon raw image, not read"),
    "a DICOM": ("x.dcm", lambda: bytes(128) + b"DICM" + bytes(9), "DICOM image, not read"),
    "a JPEG XL": ("x.jpg", lambda: b"\xff\x0a" + bytes(99), "JPEG XL image, not read"),
    "Lab colours": ("x.tif", lambda: encoded("TIFF", "LAB"), "ok"),
}


def _images(folder: Path) -> Path:
    images = folder / "images"
    for name in ("", "one", "two"):
        (images / name).mkdir(parents=True)
    for name in ("good.jpg", "b.jpg", "one/twice.jpg", "two/twice.jpg", "one/only.jpg"):
        (images / name).write_bytes(encoded("JPEG"))
    (folder / "outside.jpg").write_bytes(encoded("JPEG"))
    (images / "link.jpg").symlink_to(folder / "outside.jpg")
    return images


def _odd_places(folder: Path) -> list[BadInput]:
    """What bytes alone cannot say: folders, links in a circle, rights, names no file system takes."""
    images = _images(folder)
    (images / "folder.jpg").mkdir()
    (images / "circle.jpg").symlink_to(images / "circle.jpg")
    (images / "locked.jpg").write_bytes(encoded("JPEG"))
    (images / "locked.jpg").chmod(0)
    cases = []
    for name, reason in (("folder.jpg", "missing file"), ("circle.jpg", "missing file"), ("locked.jpg", "")):
        csv = folder / f"{name}.csv"
        csv.write_text(f"{HEAD}{GOOD}{name},beluga,2\n")
        cases.append(BadInput(f"image: {name}", csv, images, "rows", reason))
    line_end = folder / "line\nend.csv"
    line_end.write_text("image,kind\ngood.jpg,orca\n")
    cases.append(BadInput("csv: a line end in its own name", line_end, images, "error"))
    return [*cases, BadInput("csv: a path too long", folder / ("x" * 300), images, "error")]


def write_corpus(folder: Path) -> list[BadInput]:
    """Write every case below `folder` and list them."""
    cases = []
    for number, (name, content) in enumerate({**CSV_ERRORS, **CSV_ROWS}.items()):
        place = folder / f"csv{number}"
        images = _images(place)
        (place / "train.csv").write_bytes(content)
        expected = "error" if name in CSV_ERRORS else "rows"
        cases.append(BadInput(f"csv: {name}", place / "train.csv", images, expected))
    for number, (name, (file, make, reason)) in enumerate(PICTURES.items()):
        place = folder / f"picture{number}"
        images = _images(place)
        (images / file).write_bytes(make())
        (place / "train.csv").write_text(HEAD + GOOD + f"{file},beluga,2\n")
        cases.append(BadInput(f"image: {name}", place / "train.csv", images, "rows", reason))
    (folder / "a folder.csv").mkdir()
    missing = BadInput("csv: missing", folder / "no.csv", folder, "error")
    cases += _odd_places(folder / "odd")
    return [*cases, missing, BadInput("csv: a folder", folder / "a folder.csv", folder, "error")]
