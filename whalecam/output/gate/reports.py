"""What a gate found, for machines that run it: JUnit XML, and Markdown for a step summary."""

import re
from pathlib import Path
from xml.sax.saxutils import quoteattr

from whalecam.errors import RunError
from whalecam.output.gate import Check, Outcome
from whalecam.text import short

SHOWN = 50
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(run: str, outcome: Outcome) -> str:
    """JUnit XML: one test case per rule; a failure tells the figure and the images that got worse."""
    failures = sum(check.failed for check in outcome.checks)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f'<testsuite name="whalecam audit" tests="{len(outcome.checks)}" failures="{failures}" errors="0">')
    for check in outcome.checks:
        case = f"  <testcase classname={_attribute(run)} name={_attribute(f'not {check.rule}')}"
        if check.failed:
            message = _attribute(_sentence(check))
            lines += [f"{case}>", f"    <failure message={message}>{_text(_list(check, outcome))}</failure>"]
            lines.append("  </testcase>")
        else:
            lines.append(f"{case}/>")
    return "\n".join([*lines, "</testsuite>", ""])


def summary(run: str, outcome: Outcome) -> str:
    """Markdown: whether the gate is passed, every rule with its figure, and the images that got worse."""
    state = "failed" if outcome.failed else "passed"
    lines = [f"### WhaleCAM gate {state}: {escaped(run)}", "", "| fails if | measured | |", "|---|---|---|"]
    lines += [
        f"| {escaped(str(check.rule))} | {short(check.value, 4)} | {'**failed**' if check.failed else 'ok'} |"
        for check in outcome.checks
    ]
    if outcome.baseline:
        many = len(outcome.got_worse)
        lines += ["", f"{many:,} of {outcome.shared:,} shared images got worse than in {escaped(outcome.baseline)}."]
        lines += ["", *(f"- {escaped(image)}" for image in outcome.got_worse[:SHOWN])] if many else []
        lines += [f"- and {many - SHOWN:,} more"] if many > SHOWN else []
    return "\n".join([*lines, ""])


def escaped(text: str) -> str:
    """Text of a data set, safe inside Markdown: every mark as a character reference, on one line."""
    return "".join(c if c.isalnum() or c in " -./" else f"&#{ord(c)};" for c in " ".join(text.split()))


def append(target: Path, text: str) -> None:
    """Add to a file, as step summaries want it. Raises RunError where it cannot be written."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise RunError(
            f"{target} cannot be written: {error.strerror}. Name a file in a folder that you may write to."
        ) from error


def write(target: Path, text: str) -> None:
    """Write a report. Raises RunError where it cannot be written."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(
            f"{target} cannot be written: {error.strerror}. Name a file in a folder that you may write to."
        ) from error


def _sentence(check: Check) -> str:
    return f"{check.rule.name} is {short(check.value, 4)}, and the gate fails if {check.rule}"


def _list(check: Check, outcome: Outcome) -> str:
    return "\n".join(outcome.got_worse) if check.rule.name == "got_worse" else ""


def _attribute(text: str) -> str:
    return quoteattr(NO_XML.sub("?", text))


def _text(text: str) -> str:
    clean = NO_XML.sub("?", text)
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
