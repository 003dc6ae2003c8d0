"""Whether an image's decision rests on its background: the rule, the same rule as SQL, and what proves reliance."""

from whalecam.assessment.rule import assess

__all__ = ["assess"]
