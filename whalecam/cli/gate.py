"""The options of `audit` that make it a gate, and what they do."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import click

from whalecam.cli.options import FOLDER


def gate_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """--fail-if, --baseline, --junit, --summary."""
    for option in (
        click.option("--summary", type=FOLDER, help="Markdown file to add to; else $GITHUB_STEP_SUMMARY where set."),
        click.option("--junit", type=FOLDER, help="JUnit XML file to write, one test case per rule."),
        click.option("--baseline", type=FOLDER, help="Run to compare with: exit 1 where images got worse."),
        click.option(
            "--fail-if", multiple=True, help="Gate such as 'confirmed_leak>0.02'; may be given several times; exit 1."
        ),
    ):
        verb = option(verb)
    return verb


class GateFacts(TypedDict):
    """What a gate adds to the facts of an audit: values by rule, the rules that are met, and what got worse."""

    gate: NotRequired[dict[str, float | None]]
    failed: list[str]
    baseline: NotRequired[str]
    got_worse: NotRequired[list[str]]


class Gate:
    """A gate whose rules and baseline are known to be good before the audit begins."""

    def __init__(self, fail_if: Sequence[str], baseline: Path | None, junit: Path | None, summary: Path | None) -> None:
        from whalecam.errors import RunError
        from whalecam.output.gate import parse
        from whalecam.store.run import open_run

        self.junit, self.rules = junit, parse(fail_if, baseline is not None)
        self.baseline = open_run(baseline) if baseline else None
        if self.baseline is not None and not self.baseline.parts():
            raise RunError(f"The baseline '{self.baseline.name}' has no audited images. Audit it first.")
        named = os.environ.get("GITHUB_STEP_SUMMARY")
        self.summary = summary or (Path(named) if named else None)

    def close(self, run: Any) -> GateFacts:
        """Judge the audited run, write the reports; `failed` lists the rules that are met."""
        from whalecam.output.gate import evaluate, reports

        if not self.rules and self.junit is None:
            return {"failed": []}
        outcome = evaluate(run, self.rules, self.baseline)
        if self.junit is not None:
            reports.write(self.junit, reports.junit(run.name, outcome))
        if self.summary is not None:
            reports.append(self.summary, reports.summary(run.name, outcome))
        facts: GateFacts = {
            "gate": {str(check.rule): check.value for check in outcome.checks},
            "failed": [str(check.rule) for check in outcome.checks if check.failed],
        }
        if self.baseline is not None:
            facts["baseline"], facts["got_worse"] = outcome.baseline, list(outcome.got_worse)
        return facts
