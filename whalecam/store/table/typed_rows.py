"""What the table gives by name: the counts and rates of a run, and all that is known of one image."""

from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray


class LeakCounts(TypedDict):
    """Numbers of images: `measured` are those whose background was exchanged, the next three are among them.

    `relying` names the predicted classes that rely on their backgrounds beyond chance, with a gap of at least
    `totals.MATERIAL`; a class may do so though none of its images is certain enough to be listed.
    """

    assessable: int
    measured: int
    confirmed: int
    hidden: int
    background: int
    suspects: int
    relying: NotRequired[list[str]]


class Totals(LeakCounts):
    """Counts and rates of a whole run; a rate is None where no image bears on it.

    `controlled` counts the images with a q-value, `unseen` those with a loss by a network that was not trained on
    them. `bg_gap` is a difference of probabilities, `loss` is in nats, `completeness_error` in logits; the accuracies
    are shares of the held-out images.
    """

    images: int
    labels: int
    groups: int
    unreadable: int
    controlled: int
    unseen: int
    reviewed: int
    flagged: int
    bg_gap: float | None
    background_only_accuracy: float | None
    accuracy: float | None
    loss: float | None
    completeness_error: float | None


class MapRow(TypedDict):
    """One image with the map of each class, float32 (classes, h, w); `mask_bits` packed, None without a mask."""

    image: str
    label: str
    predicted: str
    width: int
    height: int
    map_height: int
    map_width: int
    maps: NDArray[np.float32]
    mask_bits: bytes | None
    background_share: float | None


class ListedRow(TypedDict):
    """One image without its maps; None or NaN where something was not measured. Columns as in `schema.SCHEMA`.

    `correct`, `assessment`, `p_value`, `q_value` and `reliance_probability` follow from the thresholds and from the
    other images; `review` to `reviewed_at` are of its latest review.
    """

    image: str
    label: str
    group: str
    width: int
    height: int
    fold: int
    in_training: bool
    predicted: str | None
    confidence: float | None
    p_label: float | None
    loss: float | None
    mask_source: str | None
    mask_area: float | None
    mask_confidence: float | None
    mask_agreement: float | None
    background_share: float | None
    floor: float | None
    chance: float | None
    attention_score: float | None
    fin_share: float | None
    background_share_label: float | None
    attention_score_label: float | None
    reliance: float | None
    reliance_on: str | None
    reliance_color: float | None
    reliance_brightness: float | None
    reliance_texture: float | None
    reliance_together: float | None
    reliance_swap: float | None
    swapped_accuracy: float | None
    reliance_before: float | None
    reliance_after: float | None
    reliance_donor: str | None
    background_only_p: float | None
    background_only_predicted: str | None
    bg_gap: float | None
    reason: str | None
    completeness_error: float | None
    high_norm_share: float | None
    peak: float | None
    map_height: int | None
    map_width: int | None
    correct: bool | None
    p_value: float | None
    q_value: float | None
    reliance_probability: float | None
    assessment: str
    review: str | None
    review_reason: str | None
    note: str | None
    suggested_label: str | None
    reviewer: str | None
    reviewed_at: str | None


class ImageRow(ListedRow):
    """One image with its maps, float32 (classes, h, w); None, never NaN, where something was not measured."""

    maps: NDArray[np.float32] | None
    logits: list[float] | None
    mask_bits: bytes | None
    reliance_image: bytes | None
