"""The gate: its grammar, its figures, what it writes for machines, and the documented workflow."""

import json
import shlex
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.analysis.test_compare import made, row
from tests.commandline import whalecam
from tests.conftest import ROOT
from whalecam.cli import cli
from whalecam.errors import RunError
from whalecam.output.gate import NAMES, evaluate, parse, reports
from whalecam.output.gate.rules import Rule
from whalecam.store.run import open_run

HOSTILE = 'a<b>&"|*_[x](http://y)`\n# c.jpg'


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("confirmed_leak>0.02", Rule("confirmed_leak", ">", 0.02)),
        (" accuracy <= 80% ", Rule("accuracy", "<=", 0.8)),
        ("worst-species-accuracy<.5", Rule("worst_label_accuracy", "<", 0.5)),
        ("loss>=2", Rule("loss", ">=", 2)),
    ],
)
def test_rules_are_read(text: str, rule: Rule) -> None:
    assert Rule.of(text, NAMES) == rule


@given(st.sampled_from(NAMES), st.sampled_from(["<", "<=", ">", ">="]), st.integers(0, 1000))
def test_a_written_rule_is_read_again(name: str, sign: str, thousandths: int) -> None:
    rule = Rule(name, sign, thousandths / 1000)
    assert Rule.of(str(rule), NAMES) == rule


@given(st.text(max_size=30))
def test_anything_else_is_refused_in_words(text: str) -> None:
    try:
        assert Rule.of(text, NAMES).name in NAMES
    except RunError as error:
        assert "gate" in str(error) or "number" in str(error)


@pytest.mark.parametrize("text", ["accuracy", "accuracy=1", "accuracy>1e400", "accuracy>-1", "__import__('os')>1", ""])
def test_no_rule_runs_or_passes_by_accident(text: str) -> None:
    with pytest.raises(RunError):
        Rule.of(text, NAMES)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(RunError, match=r"no metric 'leaks' to check.*confirmed_leak.*got_worse"):
        Rule.of("leaks>1", NAMES)


def test_figures_of_a_toy_and_its_baseline(tmp_path: Path) -> None:
    before = [row(f"o{n}", "orca", "orca") for n in range(3)] + [row(HOSTILE, "beluga", "beluga")]
    after = [row(f"o{n}", "orca", "orca", attention_score=1.5, reliance=0.5 if n else 0.0) for n in range(3)]
    after += [row(HOSTILE, "beluga", "orca")]
    first, second = made(tmp_path / "a", before), made(tmp_path / "b", after)
    outcome = evaluate(second, parse(["confirmed_leak>0.5", "accuracy<0.75", "got_worse>75%"], True), first)
    assert [(check.value, check.failed) for check in outcome.checks] == [(0.5, False), (0.75, False), (0.75, False)]
    assert set(outcome.got_worse) == {HOSTILE, "o1", "o2"} and not outcome.failed
    strict = evaluate(second, parse([], True), first)
    assert strict.failed and strict.shared == 4
    xml = ET.fromstring(reports.junit("b", strict))  # noqa: S314  our own text
    assert xml.get("failures") == "1" and HOSTILE in str(xml.findtext("testcase/failure"))
    text = reports.summary("b", strict)
    assert "gate failed" in text and "3 of 4" in text
    line = next(line for line in text.splitlines() if "jpg" in line)
    assert not set(line[2:]) & set("<>|*_[]`()") and "# c" not in line
    assert not evaluate(first, parse([], True), first).failed


def test_what_was_not_measured_does_not_pass(tmp_path: Path) -> None:
    run = made(tmp_path / "a", [row("o", "orca", "orca", in_training=True)])
    with pytest.raises(RunError, match="was not measured"):
        evaluate(run, parse(["accuracy<0.5"], False))
    with pytest.raises(RunError, match="--baseline"):
        parse(["got_worse>0"], False)


def test_the_gate_of_an_audit(runs: Path, tmp_path: Path) -> None:
    run = runs / "demo"
    shutil.copytree(run, runs / "before")
    audit = ("audit", run, "--masks", open_run(run).manifest.audit["masks"])
    xml, step = tmp_path / "out" / "gate.xml", tmp_path / "step.md"
    step.write_text("kept\n")
    rules = ("--fail-if", "accuracy>=0", "--fail-if", "got_worse>0")
    done = whalecam(
        *audit, "--baseline", runs / "before", *rules, "--junit", xml, "--json", GITHUB_STEP_SUMMARY=str(step)
    )
    facts = json.loads(done.stdout)
    assert done.returncode == 1 and facts["failed"] == ["accuracy>=0"] and facts["got_worse"] == []
    cases = ET.parse(xml).iter("testcase")  # noqa: S314  our own text
    assert [case.get("name") for case in cases] == ["not accuracy>=0", "not got_worse>0"]
    assert step.read_text().startswith("kept\n### WhaleCAM gate failed: demo")
    assert whalecam(*audit, "--baseline", runs / "before").returncode == 0
    wrong = whalecam(*audit, "--fail-if", "leaks>1")
    assert wrong.returncode == 2 and "confirmed_leak" in wrong.stderr and "Traceback" not in wrong.stderr
    assert whalecam(*audit, "--baseline", runs / "nowhere").returncode == 2


def workflow() -> dict[str, dict[str, dict[str, list[dict[str, str]]]]]:
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    found: dict[str, dict[str, dict[str, list[dict[str, str]]]]] = yaml.safe_load(
        text.split("```yaml\n")[1].split("```")[0]
    )
    return found


def test_the_documented_workflow_uses_what_there_is() -> None:
    steps = workflow()["jobs"]["audit"]["steps"]
    commands = [shlex.split(step["run"])[3:] for step in steps if "whalecam" in step.get("run", "").split(" -m ")[-1]]
    commands = [words for words in commands if words]
    assert [words[0] for words in commands if words[0] in cli.commands] == ["audit", "compare"]
    for verb, *arguments in (words for words in commands if words[0] in cli.commands):
        context = cli.commands[verb].make_context(verb, arguments)
        parse(context.params.get("fail_if", ()), True)


def test_the_documented_names_are_those_of_the_gate() -> None:
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    assert not [name for name in NAMES if f"`{name}`" not in text]
