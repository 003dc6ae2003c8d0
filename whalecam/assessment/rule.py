"""The assessment of an image: where the network looks and what it relies on, made one word. Pure numpy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import FloatArray
from whalecam.config import Thresholds


def assess(
    attention_score: FloatArray,
    reliance: FloatArray,
    reason: NDArray[Any],
    thresholds: Thresholds,
    *,
    q_value: FloatArray | None = None,
) -> NDArray[Any]:
    """The assessment of each image: one of `config.ASSESSMENTS`.

    An image *relies* where `q_value <= thresholds.false_rate`; where it has no q-value, where
    `reliance >= thresholds.reliance`, which controls no rate. Neither takes a map, so both also decide where
    attention cannot be assessed. An image is not assessable only where neither attention nor reliance can be.

    Args:
        attention_score: (N,); NaN where attention cannot be assessed. An image *looks* at the background where it is
            `thresholds.attention` or more.
        reliance: (N,); NaN means not measured.
        reason: (N,) of text: why attention cannot be assessed; "" and None where it can.
        q_value: (N,), of `reliance.Reliance`; NaN or None: of an audit that controlled no rate.
    """
    attention_score, reliance = np.asarray(attention_score, np.float64), np.asarray(reliance, np.float64)
    rate = np.full(attention_score.shape, np.nan) if q_value is None else np.asarray(q_value, np.float64)
    barred = np.array([isinstance(text, str) and text != "" for text in np.asarray(reason).tolist()], bool)
    looks, controlled = attention_score >= thresholds.attention, ~np.isnan(rate)
    measured = controlled | ~np.isnan(reliance)
    relies = np.where(controlled, rate <= thresholds.false_rate, reliance >= thresholds.reliance)
    unseen = np.isnan(attention_score) | barred
    rule = (
        ("background_reliance", unseen & relies),
        ("not_assessable", unseen & ~measured),
        ("confirmed_leak", looks & relies),
        ("cosmetic", ~unseen & looks & measured),
        ("hidden_reliance", relies),
        ("clean", measured),
        ("suspect", looks),
    )
    return np.select([case for _, case in rule], [name for name, _ in rule], default="not_tested")
