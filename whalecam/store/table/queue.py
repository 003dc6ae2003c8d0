"""The queue of one reviewer: in which order images come, which are controls, what is next, how fast it goes."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

LAST = 20
"""Verdicts over which the pace is taken."""
BREAK = 300.0
"""Seconds between two verdicts from which on somebody was elsewhere."""


@dataclass(frozen=True)
class Queue:
    """Images in the order in which one reviewer is shown them.

    Attributes:
        names: all of them, in order.
        done: what the reviewer need not see; passed over on the way on, not on the way back.
        skipped: put off, in that order; they come last.
        controls: those of `names` that are blind controls.
    """

    names: tuple[str, ...]
    done: frozenset[str] = frozenset()
    skipped: tuple[str, ...] = ()
    controls: frozenset[str] = field(default=frozenset())

    @cached_property
    def line(self) -> tuple[str, ...]:
        """`names` with the skipped ones at the end."""
        known, later = set(self.names), dict.fromkeys(self.skipped)
        return (*(name for name in self.names if name not in later), *(name for name in later if name in known))

    @cached_property
    def left(self) -> tuple[str, ...]:
        """What is still to be judged."""
        return tuple(name for name in self.line if name not in self.done)

    def place(self, image: str) -> int:
        """0-based place of an image in `line`; -1 for one that is not in the queue."""
        return self._places.get(image, -1)

    def after(self, image: str) -> str | None:
        """The next image still to be judged, from the front where none is behind `image`; None at the end."""
        at = self.place(image)
        behind = (name for name in self.line[at + 1 :] if name not in self.done)
        return next(behind, next((name for name in self.left if name != image), None))

    def before(self, image: str) -> str | None:
        """The image in front of `image`, judged or not."""
        at = self.place(image)
        return self.line[at - 1] if at > 0 else None

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: at for at, name in enumerate(self.line)}


def with_controls(
    names: Sequence[str], others: Collection[str], share: float, seed: str
) -> tuple[tuple[str, ...], frozenset[str]]:
    """Mix controls into a queue; which and where follows from `seed` and the names alone.

    Args:
        names: the queue.
        others: images that the audit does not suspect, and that are not in it.
        share: of controls in the mixed queue, in [0, 1).
        seed: tells reviewers and runs apart.

    Returns: the mixed queue, `names` in their order; the controls, fewer than wanted where `others` are few.
    """
    wanted = round(share / (1 - share) * len(names))
    drawn = {name: hashlib.sha256(f"{seed}\0{name}".encode(errors="surrogatepass")).digest() for name in set(others)}
    chosen = sorted(drawn, key=lambda name: drawn[name])[:wanted]
    spots = [((at + 0.5) / len(names), name) for at, name in enumerate(names)]
    spots += [(int.from_bytes(drawn[name][-8:]) / 2**64, name) for name in chosen]
    return tuple(name for _, name in sorted(spots, key=lambda spot: spot[0])), frozenset(chosen)


def pace(reviews: pd.DataFrame) -> float | None:
    """Images a minute over the reviewer's LAST actions, breaks left out; None while there are fewer than two.

    An action on many images counts once. `reviews`: `action reviewed_at`, oldest first (`Journal.reviewed_by`).
    """
    moments = pd.to_datetime(reviews.drop_duplicates("action", keep="last")["reviewed_at"].tail(LAST), utc=True)
    gaps = moments.sort_values().diff().dt.total_seconds().dropna()
    gaps = gaps[gaps < BREAK]
    return None if gaps.empty else 60 * len(gaps) / max(float(gaps.sum()), 1.0)
