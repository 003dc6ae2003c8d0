"""Numbers and lists of names as people read them: on the pages, in reports and on the command line."""

from collections.abc import Sequence
from typing import Any

DASH = "–"
"""Stands where there is no number."""
SIGN = "\N{NO-BREAK SPACE}%"
"""Behind a number: a line never breaks between the two."""
PERCENT_COLUMN, PERCENT_SLIDER = f"%.1f{SIGN}%", f"%d{SIGN}%"
"""Formats of Streamlit for shares that were multiplied by 100."""


def percent(share: Any, digits: int = 0, signed: bool = False) -> str:
    """A share in percent, as in `57.5 %`, with a no-break space; DASH for None and NaN.

    Args:
        share: 1 is 100 %.
        digits: decimals of the percentage.
        signed: whether a plus sign stands before what is not negative.
    """
    return DASH if _is_missing(share) else f"{_hundredfold(share, digits, signed)}{SIGN}"


def percent_interval(share: Any, low: Any, high: Any, signed: bool = False) -> str:
    """A share with its interval, as in `20 % (12 to 30)`; DASH for None and NaN."""
    return DASH if _is_missing(share) else f"{percent(share, signed=signed)} ({_range(low, high, signed)})"


def percent_range(low: Any, high: Any) -> str:
    """The ends of an interval of shares, as in `12 % to 30 %`."""
    return f"{percent(low)} to {percent(high)}"


def percent_of(part: int, whole: int) -> str:
    """A part of a whole, as in `12 %`; with a decimal below one percent, and 0 % of nothing."""
    share = part / max(1, whole)
    return percent(share, 1 if 0 < share < 0.01 else 0)


def points(difference: Any, digits: int = 0) -> str:
    """A difference of two shares, as in `+12 points`; DASH for None and NaN."""
    return DASH if _is_missing(difference) else f"{_hundredfold(difference, digits, True)} points"


def points_interval(difference: float, low: float, high: float) -> str:
    """A difference of two shares with its interval, as in `+12 points (+8 to +16)`."""
    return f"{points(difference)} ({_range(low, high, True)})"


def number(value: Any, digits: int = 2, signed: bool = False) -> str:
    """A number with so many decimals; DASH for None and NaN."""
    return DASH if _is_missing(value) else f"{value:{'+' if signed else ''}z.{digits}f}"


def short(value: Any, digits: int = 6) -> str:
    """A number in at most so many significant digits, as in `0.25`, `12` or `1.2e+07`; DASH for None and NaN."""
    return DASH if _is_missing(value) else f"{value:.{digits}g}"


def scientific(value: Any) -> str:
    """A number of any size, as in `1.2e-05`; DASH for None and NaN."""
    return DASH if _is_missing(value) else f"{value:.1e}"


def count(value: Any) -> str:
    """A whole number, as in `1,240`; DASH for None and NaN."""
    return DASH if _is_missing(value) else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """A time in the two largest of hours, minutes and seconds: "2 h 5 min", "3 min 20 s", "45 s", "below 1 s"."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours:,} h {minutes} min"
    if minutes:
        return f"{minutes} min {rest} s"
    return f"{rest} s" if rest else "below 1 s"


def listed(names: Sequence[str], shown: int) -> str:
    """The first `shown` names, and how many more there are: `a, b, c and 12 more`."""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}"


def _is_missing(value: Any) -> bool:
    from pandas import isna  # here, since the command line starts without it

    return bool(isna(value))


def _range(low: Any, high: Any, signed: bool) -> str:
    return f"{_hundredfold(low, 0, signed)} to {_hundredfold(high, 0, signed)}"


def _hundredfold(share: Any, digits: int, signed: bool) -> str:
    return f"{100 * share:{'+' if signed else ''}z.{digits}f}"
