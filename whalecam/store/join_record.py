"""What `run.json` notes of the masks and boxes that an audit or a training was given."""

from typing import TypedDict


class JoinRecord(TypedDict):
    """What became of one source of masks, as `explain.masks.Join` has it, and all of it as one `sentence`.

    `kind` is `masks` or `boxes`. Of `images` that can be used, `matched` have a mask or a box; of the files of a
    folder, or the rows of box files, `given`, `unused` belong to no image or cannot be used.
    """

    kind: str
    images: int
    matched: int
    given: int
    unused: int
    first_unused: list[str]
    notes: list[str]
    read_as: list[str]
    sentence: str
