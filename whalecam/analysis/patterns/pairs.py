"""Which two species a network takes for one another most often."""

from dataclasses import dataclass

import pandas as pd

FEWEST = 2
"""Images of two species that must be taken for the other one."""


@dataclass(frozen=True)
class Pair:
    """Two species: `images` of `of` images of them that a network had not seen were taken for the other one."""

    first: str
    second: str
    images: int
    of: int


def confused_pairs(confusion: pd.DataFrame, most: int = 8) -> list[Pair]:
    """The pairs with most images taken for the other one; among equals the one with the larger share, then by name.

    Args:
        confusion: `species`, `predicted`, `images`, as `Table.confusion` gives them.
    """
    own = confusion.groupby("label")["images"].sum().to_dict()
    swapped: dict[tuple[str, str], int] = {}
    for species, predicted, images in confusion[["label", "predicted", "images"]].itertuples(index=False):
        if species != predicted and species in own and predicted in own:
            pair = (min(species, predicted), max(species, predicted))
            swapped[pair] = swapped.get(pair, 0) + int(images)
    pairs = [Pair(*pair, images, int(own[pair[0]] + own[pair[1]])) for pair, images in swapped.items()]
    pairs = [pair for pair in pairs if pair.images >= FEWEST]
    return sorted(pairs, key=lambda pair: (-pair.images, -pair.images / pair.of, pair.first, pair.second))[:most]
