"""The columns of a run's table; every part has this one schema."""

import pyarrow as pa

SCHEMA_VERSION = 4

SCHEMA = pa.schema(
    [
        ("image", pa.string()),
        ("species", pa.string()),
        ("individual_id", pa.string()),
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
        ("leak", pa.float32()),
        ("floor", pa.float32()),
        ("chance", pa.float32()),
        ("excess", pa.float32()),
        ("fin_share", pa.float32()),
        ("leak_label", pa.float32()),
        ("excess_label", pa.float32()),
        ("needs", pa.float32()),
        ("needs_property", pa.string()),
        ("needs_colour", pa.float32()),
        ("needs_brightness", pa.float32()),
        ("needs_texture", pa.float32()),
        ("needs_together", pa.float32()),
        ("needs_swap", pa.float32()),
        ("swap_correct", pa.float32()),
        ("needs_before", pa.float32()),
        ("needs_after", pa.float32()),
        ("needs_donor", pa.string()),
        ("needs_picture", pa.binary()),
        ("p_water_only", pa.float32()),
        ("water_predicted", pa.string()),
        ("bg_gap", pa.float32()),
        ("exchange_own", pa.list_(pa.float32())),
        ("exchange_own_donors", pa.list_(pa.int64())),
        ("exchange_other", pa.list_(pa.float32())),
        ("exchange_other_donors", pa.list_(pa.int64())),
        ("reason", pa.string()),
        ("residual", pa.float32()),
        ("peak", pa.float32()),
        ("map_height", pa.int16()),
        ("map_width", pa.int16()),
        ("logits", pa.list_(pa.float32())),
        ("maps", pa.binary()),
        ("embedding", pa.binary()),
    ]
)
"""One row per image. `maps` holds float16 little-endian, classes × map_height × map_width; `mask_bits` holds the
mask, thresholded at 0.5 on a MASK_GRID × MASK_GRID grid of the picture, packed eight to a byte;
`needs_picture` is the edited picture behind `needs` (WebP), with the donor and the probabilities before and after;
`swap_correct` is the share of exchanged waters, from other labels, on which the label is still predicted; parts written
before it was measured lack the column;
`exchange_own` and `exchange_other` hold the probability of the predicted class on each exchanged water of the predicted
label and of other labels, `…_donors` a code of each donor, the same for all of one individual; older parts lack them;
`mask_agreement` is the IoU of the mask with the mask network's where the mask comes from elsewhere;
`peak` is the largest value of the predicted class's relative map, in logits; `embedding` holds float16 little-endian,
the activations at the cut averaged over their positions; parts older than it lack it.
The scores are explained in docs/concepts.md."""
