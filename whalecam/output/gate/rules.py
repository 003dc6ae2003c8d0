"""The grammar of a gate: a name, a comparison, a number."""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from whalecam.errors import RunError
from whalecam.text import short

SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
EARLIER = {
    "unseen_water_accuracy": "swapped_accuracy",
    "worst_species_accuracy": "worst_label_accuracy",
    "water_only_accuracy": "background_only_accuracy",
    "excess": "attention_score",
}
"""Names in rules that were written for an earlier version → the present ones."""
PATTERN = re.compile(r"\s*([A-Za-z_-]+)\s*(>=|<=|>|<)\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(%?)\s*", re.ASCII)


@dataclass(frozen=True)
class Rule:
    """A condition under which a gate fails: `confirmed_leak>0.02`."""

    name: str
    sign: str
    level: float

    @classmethod
    def of(cls, text: str, names: Sequence[str]) -> "Rule":
        """Read `NAME SIGN NUMBER`; `2%` is 0.02. Raises RunError with what would be right."""
        match = PATTERN.fullmatch(text)
        if match is None:
            raise RunError(
                f"'{text}' is not a rule of a gate. Write a name, >, >=, < or <=, and a number: 'confirmed_leak>0.02'."
            )
        name, level = match[1].replace("-", "_"), float(match[3]) / (100 if match[4] else 1)
        name = EARLIER.get(name, name)
        if name not in names:
            raise RunError(f"There is no metric '{match[1]}' to check. There are: {', '.join(names)}.")
        if not math.isfinite(level):
            raise RunError(f"'{text}' has a number that no metric can reach.")
        return cls(name, match[2], level)

    def met(self, value: float) -> bool:
        """Whether the condition holds, so that the gate fails."""
        return SIGNS[self.sign](value, self.level)

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{short(self.level)}"
