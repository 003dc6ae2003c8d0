"""The columns of a run's table; every part has this one schema."""

import pyarrow as pa

SCHEMA_VERSION = 5

SCHEMA = pa.schema(
    [
        ("image", pa.string()),
        ("label", pa.string()),
        ("group", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fold", pa.int16()),
        ("in_training", pa.bool_()),
        ("predicted", pa.string()),
        ("confidence", pa.float32()),
        ("p_label", pa.float32()),
        ("loss", pa.float32()),
        ("mask_source", pa.string()),
        ("mask_area", pa.float32()),
        ("mask_confidence", pa.float32()),
        ("mask_agreement", pa.float32()),
        ("mask_bits", pa.binary()),
        ("background_share", pa.float32()),
        ("floor", pa.float32()),
        ("chance", pa.float32()),
        ("attention_score", pa.float32()),
        ("fin_share", pa.float32()),
        ("high_norm_share", pa.float32()),
        ("background_share_label", pa.float32()),
        ("attention_score_label", pa.float32()),
        ("reliance", pa.float32()),
        ("reliance_on", pa.string()),
        ("reliance_color", pa.float32()),
        ("reliance_brightness", pa.float32()),
        ("reliance_texture", pa.float32()),
        ("reliance_together", pa.float32()),
        ("reliance_swap", pa.float32()),
        ("swapped_accuracy", pa.float32()),
        ("reliance_before", pa.float32()),
        ("reliance_after", pa.float32()),
        ("reliance_donor", pa.string()),
        ("reliance_image", pa.binary()),
        ("background_only_p", pa.float32()),
        ("background_only_predicted", pa.string()),
        ("bg_gap", pa.float32()),
        ("exchange_own", pa.list_(pa.float32())),
        ("exchange_own_donors", pa.list_(pa.int64())),
        ("exchange_other", pa.list_(pa.float32())),
        ("exchange_other_donors", pa.list_(pa.int64())),
        ("reason", pa.string()),
        ("completeness_error", pa.float32()),
        ("peak", pa.float32()),
        ("map_height", pa.int16()),
        ("map_width", pa.int16()),
        ("logits", pa.list_(pa.float32())),
        ("maps", pa.binary()),
        ("embedding", pa.binary()),
    ]
)
"""One row per image. `maps` holds float16 little-endian, classes × map_height × map_width; `mask_bits` holds the
mask, thresholded at 0.5 on a MASK_GRID × MASK_GRID grid of the image, packed eight to a byte;
`reliance_image` is the edited image behind `reliance` (WebP), with the donor and the probabilities before and after;
`swapped_accuracy` is the share of exchanged backgrounds, from other labels, on which the label is still predicted;
parts written before it was measured lack the column; earlier names of columns stand in `parts.EARLIER`;
`exchange_own` and `exchange_other` hold the probability of the predicted class on each exchanged water of the predicted
label and of other labels, `…_donors` a code of each donor, the same for all of one individual; older parts lack them;
`high_norm_share` is that of positive evidence in tokens of high norm on the background, null for networks without
tokens; older parts lack it;
`mask_agreement` is the IoU of the mask with the mask network's where the mask comes from elsewhere;
`peak` is the largest value of the predicted class's relative map, in logits; `embedding` holds float16 little-endian,
the activations at the cut averaged over their positions; parts older than it lack it.
Scores as in docs/concepts.md."""

MASKED = (
    *("mask_source", "mask_area", "mask_confidence", "mask_agreement", "mask_bits"),
    *("background_share", "floor", "chance", "attention_score", "high_norm_share"),
    *("background_share_label", "attention_score_label"),
    *("reliance", "reliance_on", "reliance_color", "reliance_brightness", "reliance_texture", "reliance_together"),
    *("reliance_swap", "swapped_accuracy", "reliance_before", "reliance_after", "reliance_donor", "reliance_image"),
    *("background_only_p", "background_only_predicted", "bg_gap"),
    *("exchange_own", "exchange_own_donors", "exchange_other", "exchange_other_donors", "reason"),
)
"""The columns that rest on the mask; another mask leaves all others as they are."""
