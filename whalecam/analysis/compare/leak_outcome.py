"""What became of a run's confirmed leaks, held against what the thresholds confirm by mistake."""

from dataclasses import dataclass

from whalecam.config import FALSE_LEAKS, Thresholds
from whalecam.text import percent


@dataclass(frozen=True)
class Fate:
    """Confirmed leaks before and after, among the `images` that both runs could assess.

    Attributes:
        state: `gone`: fewer beyond chance, and no more left than mistakes explain. `fewer`: fewer beyond chance, but
            more left than that. `left`: not fewer beyond chance, and more left than that. `unsure`: no more left than
            that, but of so few images that chance explains it. `none`: mistakes explain those before and after.
            `new`: they explain those before alone. `unknown`: no image, or thresholds laxer than the shipped ones,
            whose mistakes nobody has counted.
    """

    images: int
    before: int
    after: int
    state: str

    @property
    def sentence(self) -> str:
        """In words, with the counts."""
        counts = f"{self.after:,} of {self.images:,} images, {self.before:,} before"
        chance = f"what the thresholds confirm by mistake of a network that met no leak ({percent(FALSE_LEAKS, 1)})"
        return {
            "gone": f"The confirmed leaks are gone: {counts}. What is left is within {chance}.",
            "fewer": f"Confirmed leaks are fewer, but not gone: {counts}. What is left is above {chance}.",
            "left": f"The confirmed leaks are still there: {counts}.",
            "unsure": f"Too few images to say whether the confirmed leaks are gone: {counts}.",
            "new": f"There are confirmed leaks where there were none: {counts}, above {chance}.",
            "none": f"Neither run has confirmed leaks beyond {chance}: {counts}.",
        }.get(self.state, "")


def fate(images: int, before: int, after: int, *, fewer: bool, thresholds: Thresholds) -> Fate:
    """Judge two counts.

    Args:
        images: images that both runs could assess.
        before, after: confirmed leaks among them.
        fewer: whether they are fewer beyond chance: of these two networks, whatever another seed would bring.
        thresholds: what confirmed them; FALSE_LEAKS holds for the shipped ones and, as an upper bound, for stricter
            ones.
    """
    return Fate(images, before, after, _state(images, before, after, fewer, thresholds))


def _state(images: int, before: int, after: int, fewer: bool, thresholds: Thresholds) -> str:
    shipped = Thresholds()
    laxer = thresholds.reliance < shipped.reliance or thresholds.false_rate > shipped.false_rate
    if not images or thresholds.attention < shipped.attention or laxer:
        return "unknown"
    met, kept = before > FALSE_LEAKS * images, after > FALSE_LEAKS * images
    if not met:
        return "new" if kept else "none"
    if kept:
        return "fewer" if fewer else "left"
    return "gone" if fewer else "unsure"
