"""How far `reliance_probability` is borne out on planted leaks: what `benchmarks.reliance --write` measured."""

import functools
import json
from dataclasses import dataclass
from importlib import resources
from typing import TypedDict

FILE = "reliability.json"


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Images of about the same probability.

    Attributes:
        probability: their mean `reliance_probability`, in [0, 1].
        share: how many of them rely on their background by the exact counterfactual, in [0, 1].
        low: lower end of the 95 % interval of `share` (Wilson 1927).
        high: its upper end.
        images: how many they are.
    """

    probability: float
    share: float
    low: float
    high: float
    images: int


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """A reliability diagram (DeGroot & Fienberg 1983).

    Attributes:
        bins: in the order of their probabilities.
        networks: how many networks predict.
        kinds: how many kinds of planted leak there are.
    """

    bins: tuple[Bin, ...]
    networks: int
    kinds: int

    @property
    def images(self) -> int:
        """All images, each counted once for each network that predicts on it."""
        return sum(bin_.images for bin_ in self.bins)

    @property
    def error(self) -> float:
        """Expected calibration error (Naeini et al. 2015), in [0, 1]."""
        return sum(bin_.images * abs(bin_.share - bin_.probability) for bin_ in self.bins) / self.images


class BinRecord(TypedDict):
    """A `Bin` as JSON has it."""

    probability: float
    share: float
    low: float
    high: float
    images: int


class ReliabilityRecord(TypedDict):
    """A `Reliability` as JSON has it."""

    bins: list[BinRecord]
    networks: int
    kinds: int


@functools.cache
def measured() -> Reliability:
    """The diagram that comes with this version, over kinds of leak that each probability was not fitted on."""
    return parsed(json.loads(resources.files("whalecam.analysis").joinpath(FILE).read_text(encoding="utf-8")))


def parsed(record: ReliabilityRecord) -> Reliability:
    """A diagram from its JSON."""
    bins = tuple(Bin(**bin_) for bin_ in record["bins"])
    return Reliability(bins=bins, networks=record["networks"], kinds=record["kinds"])
