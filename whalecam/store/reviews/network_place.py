"""Whether a file lies on a file system of the network, where the locks of SQLite do not hold between machines."""

from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
"""Linux's list of what is mounted where; elsewhere it is not known."""
NETWORK = frozenset(
    ("afs", "beegfs", "ceph", "cifs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs", "sshfs")
)


def network_filesystem(file: Path) -> str:
    """The kind of network file system that a file lies on, such as `nfs4`; "" on a disk, or where it is not known."""
    place, kinds = file.absolute(), dict[str, str]()
    for line in _lines():
        _, mounted, kind, *_ = line.split(" ")
        kinds[mounted.replace("\\040", " ")] = kind.removeprefix("fuse.")
    kind = next((kinds[str(folder)] for folder in (place, *place.parents) if str(folder) in kinds), "")
    return kind if kind in NETWORK else ""


def caution_of(file: Path | None) -> str:
    """What to know of a journal in this file; "" on a disk, and without a file."""
    kind = network_filesystem(file) if file is not None else ""
    if not kind:
        return ""
    return (
        f"The journal of verdicts {file} is on a network file system ({kind}), where two machines that write at once "
        "can lose verdicts. Let one machine alone serve this run, or name a PostgreSQL database in "
        "WHALECAM_REVIEWS_URL."
    )


def _lines() -> list[str]:
    try:
        text = MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.count(" ") >= 2]
