"""A slice in words: how often the network errs in it, and in what its images differ from the label's others."""

from collections.abc import Mapping, Sequence

from whalecam.analysis.patterns.slices import Slice, Trait
from whalecam.text import percent, percent_of, short
from whalecam.words import Words

COLUMNS: Mapping[str, str] = {
    "predicted": "taken for",
    "group": "{group}",
    "format": "file format",
    "mask_source": "source of the mask",
    "mask_area": "share of the image that the {subject} covers",
    "width": "width in pixels",
    "height": "height in pixels",
    "attention_score": "attention score",
    "reliance_probability": "probability of relying on the {background}",
    "brightness": "brightness",
    "entropy": "amount of detail (entropy)",
    "blurriness": "sharpness of the image (CleanVision)",
    "animal_sharpness": "sharpness of the {subject}",
    "colour": "strongest colour",
    "water_l": "lightness of the {background}",
    "water_a": "{background} from green to red (a of CIE Lab)",
    "water_b": "{background} from blue to yellow (b of CIE Lab)",
    "water_spread": "contrast of the {background}",
}
"""Columns that slices are compared by, and their names."""
SHARES = ("mask_area", "reliance_probability")
NAMED = 3
"""Traits that are named at most."""


def slice_sentence(each: Slice, words: Words) -> str:
    """How many of its images are named wrongly, how many of the label's others, and the p-value."""
    count, others = len(each.images), each.others
    here, elsewhere = percent_of(each.mistakes, count), percent_of(each.other_mistakes, others)
    return (
        f"{each.mistakes:,} of {count:,} images are named wrongly ({here}); of the other {others:,} of this "
        f"{words.label}, {each.other_mistakes:,} ({elsewhere}). p {short(each.p_value, 2)}"
    )


def traits_sentence(traits: Sequence[Trait], words: Words) -> str:
    """The strongest traits, each with its figure here and elsewhere; empty where there is none."""
    named = [_trait(trait, words) for trait in traits[:NAMED]]
    return f"What they have in common: {'; '.join(named)}." if named else ""


def _trait(trait: Trait, words: Words) -> str:
    name = COLUMNS.get(trait.name, trait.name).format(
        subject=words.subject, background=words.background, group=words.group
    )
    if trait.value:
        return f"{name} {trait.value} ({percent(trait.here)}; elsewhere {percent(trait.elsewhere)})"
    write = percent if trait.name in SHARES else _short
    size = "higher" if trait.effect > 0 else "lower"
    return f"{size} {name} (median {write(trait.here)}; elsewhere {write(trait.elsewhere)})"


def _short(value: float) -> str:
    return short(value, 3)
