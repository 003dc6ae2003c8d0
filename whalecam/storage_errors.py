"""Why a file could not be written, in words: the disk is full, or the place is not open to writing."""

import errno
import re
import shutil
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
BARRED = (errno.EROFS, errno.EACCES, errno.EPERM)
NATIVE = re.compile(r"\bos error (\d+)\b")
"""How libraries in Rust, such as safetensors, write the number of the system's error into their own."""
NONE_LEFT = "No space left on device"
FULL_BYTES = 1 << 20
"""Less than this is no space for anything."""


def unwritable(error: BaseException) -> str:
    """What is wrong where, and what would be right; "" for an error of any other kind."""
    place = f" ({name})" if (name := getattr(error, "filename", None)) else ""
    code = _code(error)
    if code in FULL:
        return f"The disk is full{place}. What was finished is kept: free some space, and start again."
    if code in BARRED and isinstance(error, OSError):
        return (
            f"A file or folder may not be opened or written{place}: {error.strerror}. Change its rights, or name "
            "another place."
        )
    return ""


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has no space left; False where that is not known."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return False
    return usage.total > 0 and usage.free < FULL_BYTES


def _code(error: BaseException) -> int | None:
    """The system's number of an error; libraries raise types of their own, which tell it in their text alone."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if NONE_LEFT in str(error):
        return errno.ENOSPC
    number = NATIVE.search(str(error))
    return int(number[1]) if number else None
