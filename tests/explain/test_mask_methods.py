"""Mask methods that other packages bring."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints

import click
import numpy as np
import pytest

from tests.explain.test_masks import sample
from tests.explain.test_masks import sources as sources
from whalecam.arrays import Mask, Sample
from whalecam.cli import cli
from whalecam.config import MASK_FALLBACKS
from whalecam.data.readers import registered
from whalecam.errors import DatasetError
from whalecam.explain.masks import ENTRY_POINTS, MaskMethod, MaskSources, find_mask, mask_fallbacks, mask_methods


def upper_half(sources: MaskSources) -> MaskMethod:
    """A method that another package brings."""
    del sources

    def find(sample: Sample) -> Mask | None:
        values = np.zeros(sample.pixels.shape[:2], np.float32)
        values[: len(values) // 2] = 1
        return Mask(values, 0.8, "upper half")

    return find


def broken(sources: MaskSources) -> MaskMethod:
    """One that gives no mask of the image's size."""
    del sources
    return lambda _: Mask(np.ones((2, 2), np.float32), 0.8, "broken")


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    points = [
        EntryPoint(name, f"tests.explain.test_mask_methods:{name}", ENTRY_POINTS) for name in ("upper_half", "broken")
    ]
    monkeypatch.setattr(registered, "entry_points", lambda group: EntryPoints(points).select(group=group))
    mask_methods.cache_clear()
    yield
    mask_methods.cache_clear()


@pytest.mark.usefixtures("offered")
def test_other_packages_add_methods(sources: MaskSources) -> None:
    assert mask_fallbacks() == (*MASK_FALLBACKS, "upper_half", "broken")
    mask = find_mask(sample(), MaskSources(), "upper_half")
    assert mask is not None and mask.source == "upper half" and mask.values[0].all() and not mask.values[-1].any()
    given = find_mask(sample(), sources, "upper_half")
    assert given is not None and given.source == "given", "what is given comes first"
    context = cli.commands["audit"].make_context("audit", ["x", "--mask-method", "upper_half"])
    assert context.params["mask_method"] == "upper_half"
    with pytest.raises(click.BadParameter, match="net"):
        cli.commands["audit"].make_context("audit", ["x", "--mask-method", "lower_half"])


@pytest.mark.usefixtures("offered")
def test_what_a_method_gives_has_to_be_a_mask() -> None:
    with pytest.raises(DatasetError, match="'broken' gave no mask for"):
        find_mask(sample(), MaskSources(), "broken")
