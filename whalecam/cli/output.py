"""What the command line says: results on stdout, progress and errors on stderr."""

import json
import math
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import click

from whalecam.arrays import Progress, Report
from whalecam.text import number, percent, short

AS_JSON = "WHALECAM_PROGRESS"
JSON_GAP, TEXT_GAP = 0.2, 2.0


def reporter() -> Report:
    """Progress on stderr: one JSON line per report for programs, a rewritten line on a terminal, else plain lines."""
    started, reported = time.monotonic(), [-math.inf]
    stages: dict[str, float] = {}
    as_json, terminal = os.environ.get(AS_JSON) == "json", sys.stderr.isatty()
    gap = JSON_GAP if as_json or terminal else TEXT_GAP

    def report(step: Progress) -> None:
        now = time.monotonic()
        first = step.stage not in stages
        stages.setdefault(step.stage, now)
        if not (first or step.done == step.total or "epoch" in step.values or now - reported[0] >= gap):
            return
        reported[0] = now
        if as_json:
            line = {"stage": step.stage, "done": step.done, "total": step.total, "values": dict(step.values)}
            click.echo(json.dumps(line | {"seconds": now - started}), err=True)
        else:
            text = _line(step, now - stages[step.stage])
            click.echo(f"\r{text:<78}" if terminal else text, err=True, nl=not terminal or step.done == step.total)

    return report


def finish(state: str, message: str, status: int) -> int:
    """Say how a verb ended."""
    if os.environ.get(AS_JSON) == "json":
        click.echo(json.dumps({"state": state, "message": message}), err=True)
    elif message:
        click.echo(" ".join(message.split()), err=True)
    return status


def print_facts(facts: Mapping[str, object], as_json: bool) -> None:
    """Facts on stdout: one JSON object, or a line each; values as `plainly` takes them."""
    if as_json:
        click.echo(json.dumps(plainly(facts), allow_nan=False))
        return
    for name, value in facts.items():
        if isinstance(value, Mapping):
            click.echo(f"{name}:")
            for inner, count in value.items():
                click.echo(f"  {inner}: {_word(count)}")
        elif not isinstance(value, list | tuple) or len(value) <= 20:
            click.echo(f"{name}: {_word(value)}")


def _line(step: Progress, elapsed: float) -> str:
    share = step.done / step.total if step.total else 0.0
    left = f", {number(elapsed / step.done * (step.total - step.done), 0)} s left" if step.done and step.total else ""
    values = "".join(f" {name} {number(value, 3)}" for name, value in step.values.items() if name != "epoch")
    return f"{step.stage}: {step.done}/{step.total} ({percent(share)}{left}){values}"


def _word(value: Any) -> str:
    return short(value, 4) if isinstance(value, float) else str(value)


def plainly(value: Any) -> Any:
    """Numbers of numpy and NaN as JSON can hold them."""
    if isinstance(value, Mapping):
        return {str(name): plainly(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [plainly(inner) for inner in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
