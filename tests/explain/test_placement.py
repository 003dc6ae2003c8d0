"""The placed share of maps: exact values."""

import numpy as np
import pytest

from whalecam.explain.placement import placed_share


def maps_of(*sums: float) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """A map of 2 × 2 for each sum, unevenly spread."""
    return np.array([[[total, 1.0], [-3.0, 2.0]] for total in sums], np.float32)


@pytest.mark.parametrize(
    ("sums", "logits", "share"),
    [
        ((1.0, 3.0), (1.0, 3.0), 1.0),
        ((1.0, 3.0), (11.0, 13.0), 1.0),  # what all classes share tells none apart
        ((1.0, 2.0), (1.0, 3.0), 0.5),
        ((0.0, 0.0, 0.0), (1.0, 2.0, 5.0), 0.0),
        ((3.0, 1.0), (1.0, 3.0), -1.0),
    ],
)
def test_the_share_of_the_differences_between_logits(
    sums: tuple[float, ...], logits: tuple[float, ...], share: float
) -> None:
    assert placed_share(maps_of(*sums), np.array(logits)) == pytest.approx(share, abs=1e-6)


def test_equal_logits_leave_nothing_to_explain() -> None:
    assert np.isnan(placed_share(maps_of(1.0, 2.0), np.array([4.0, 4.0])))
