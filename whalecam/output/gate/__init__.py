"""The gate of an audit: rules on its figures, a baseline that it may not fall behind, and reports for CI."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from whalecam.analysis.compare import METRICS, Comparison, compare_runs, metrics_of
from whalecam.errors import RunError
from whalecam.output.gate.rules import Rule
from whalecam.store.run import Run

__all__ = ["GOT_WORSE", "NAMES", "Check", "Outcome", "evaluate", "parse"]
GOT_WORSE = "got_worse"
NAMES = (*METRICS, "not_assessable", GOT_WORSE)
"""What a rule may be about: metrics, verdicts as shares, and the share of shared images that got worse."""


@dataclass(frozen=True)
class Check:
    """One rule and what came of it: `value` is the figure, `failed` whether the rule's condition is met."""

    rule: Rule
    value: float
    failed: bool


@dataclass(frozen=True)
class Outcome:
    """All checks; with a baseline, the comparison and the images that got worse."""

    checks: tuple[Check, ...]
    baseline: str = ""
    shared: int = 0
    got_worse: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return any(check.failed for check in self.checks)


def parse(texts: Sequence[str], with_baseline: bool) -> tuple[Rule, ...]:
    """The rules of `--fail-if`; with a baseline and no rule on `got_worse`, one that no image may get worse.

    Raises RunError for a text that is no rule, or for one on `got_worse` without a baseline.
    """
    rules = [Rule.of(text, NAMES) for text in texts]
    about_worse = any(rule.name == GOT_WORSE for rule in rules)
    if about_worse and not with_baseline:
        raise RunError(f"A rule on '{GOT_WORSE}' needs a run to get worse than: add --baseline RUN.")
    if with_baseline and not about_worse:
        rules.append(Rule.of(f"{GOT_WORSE}>0", NAMES))
    return tuple(rules)


def evaluate(run: Run, rules: Sequence[Rule], baseline: Run | None = None) -> Outcome:
    """Check every rule on an audited run.

    Raises RunError where a figure was not measured, since a gate that cannot be checked must not pass.
    """
    metrics = metrics_of(run)
    comparison: Comparison | None = compare_runs([baseline, run]) if baseline else None
    worse: list[str] = []
    if comparison is not None and baseline is not None:
        worse = comparison.changed(comparison.names[1], GOT_WORSE)
        metrics[GOT_WORSE] = len(worse) / len(comparison.unseen)
    checks = []
    for rule in rules:
        value = metrics[rule.name]
        if value != value:
            raise RunError(
                f"'{rule}' cannot be checked: {rule.name} was not measured. It needs assessable images (or images "
                "that the network was not trained on), and for metrics of the background an audit without "
                "--background-test none."
            )
        checks.append(Check(rule, value, rule.met(value)))
    shared = len(comparison.unseen) if comparison else 0
    return Outcome(tuple(checks), str(Path(baseline.path).name) if baseline else "", shared, tuple(worse))
