"""The verbs without a browser: what they print, what they return, what they leave behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.commandline import process, whalecam
from tests.conftest import ROOT
from whalecam.analysis.recommendation import leaks_summary
from whalecam.cli import cli
from whalecam.config import Thresholds
from whalecam.store.open_table import open_table
from whalecam.store.run import open_run


def test_every_verb_and_option_says_what_it_is_for() -> None:
    for name, verb in cli.commands.items():
        assert verb.help, name
        for option in verb.params:
            if option.param_type_name == "option":
                assert option.help, (name, option.name)


def test_importing_whalecam_is_light() -> None:
    code = "import sys, whalecam, whalecam.cli; print({'torch', 'pandas', 'duckdb', 'streamlit'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_check_lists_bad_rows_and_exits_1(prepared: Path) -> None:
    pictures = prepared / "pictures"
    done = whalecam("check", pictures / "train.csv", pictures / "images", "--json")
    assert done.returncode == 1
    facts = json.loads(done.stdout)
    assert facts["reasons"] == {"truncated": 1, "missing file": 1, "duplicate row": 1}
    assert len(facts["bad_rows"]) == 3 and facts["rows"] == facts["usable"] + 3


def test_check_of_the_real_table(real_data: Path) -> None:
    done = whalecam("check", real_data / "happywhale" / "train.csv", "--no-images", "--json")
    facts = json.loads(done.stdout)
    assert done.returncode == 1 and facts["rows"] == 51_033 and not facts["reasons"]
    assert len(facts["findings"]) == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "nowhere.csv", "--no-images"), "cannot be read"),
        (("check", "README.md"), "image folder"),
        (("audit", "nowhere"), "not a run folder"),
        (("info", "nowhere"), "not a run folder"),
        (("compare", "nowhere"), "two runs"),
        (("export", "nowhere", "--out", "x.csv", "--only", "some"), "some"),
        (("train", "nowhere.csv", "nowhere", "--run", "x"), "nowhere.csv"),
        (("fly",), "fly"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments: tuple[str, ...], words: str) -> None:
    done = whalecam(*arguments)
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_process_says_the_same_as_a_call(prepared: Path) -> None:
    """What tests ask of `main` in their own process holds of `python -m whalecam`: status, results, errors."""
    faulty = ("check", prepared / "pictures" / "train.csv", "--no-images", "--json")
    for words in (("info", prepared / "runs" / "demo"), faulty, ("audit", "nowhere")):
        alone, called = process(*words), whalecam(*words)
        assert (alone.returncode, alone.stdout, alone.stderr) == (called.returncode, called.stdout, called.stderr)


def test_flag_export_import_round_trip(runs: Path, tmp_path: Path) -> None:
    run = runs / "demo"
    names = sorted(open_run(run).audited())[:2]
    assert whalecam("flag", run, *names, "--verdict", "flag", "--reviewer", "Ana", "--note", "=1+1").returncode == 0
    assert whalecam("export", run, "--out", tmp_path / "out.csv").returncode == 0
    frame = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert frame["image"].tolist() == names
    assert frame["note"].tolist() == ["'=1+1"] * 2 and frame["reviewer"].tolist() == ["Ana"] * 2
    frame["verdict"], frame["reviewer"] = "keep", "Ben"
    frame["reviewed_at"] = ""
    frame.loc[1, "image"] = "unknown.jpg"
    frame.to_csv(tmp_path / "in.csv", index=False)
    done = whalecam("import", run, tmp_path / "in.csv", "--json")
    lists = json.loads(done.stdout)
    assert done.returncode == 1 and len(lists["added"]) == 1 and len(lists["unknown"]) == 1
    assert whalecam("flag", run, "unknown.jpg", "--verdict", "flag", "--reviewer", "Ana").returncode == 2


def test_info_gate_report_compare(runs: Path, tmp_path: Path) -> None:
    run = runs / "demo"
    facts = json.loads(whalecam("info", run, "--json").stdout)
    assert facts["exactness"] == "exact" and facts["images"] == len(open_run(run).audited())
    assert facts["completeness_error"] < 1e-4 and len(facts["per_label"]) >= 6
    stored = open_run(run).manifest.audit
    failed = whalecam("audit", run, "--masks", stored["masks"], "--fail-if", "not_tested>=0", "--json")
    assert failed.returncode == 1 and json.loads(failed.stdout)["new"] == 0
    assert whalecam("audit", run, "--masks", stored["masks"], "--fail-if", "suspect>1").returncode == 0
    assert whalecam("audit", run, "--masks", stored["masks"], "--fail-if", "nonsense").returncode == 2
    assert whalecam("report", run, "--out", tmp_path / "r.html", "--cases", "3").returncode == 0
    page = (tmp_path / "r.html").read_text()
    assert page.count('class="case"') == 3 and "http" not in page.split("<body>")[1]
    same = json.loads(whalecam("compare", run, run, "--json").stdout)
    assert same["runs"][0]["accuracy"] == same["runs"][1]["accuracy"]
    assert not any(same["changes"]["demo (2)"].values())


def test_info_says_the_leaks_what_to_do_and_the_next_command(runs: Path) -> None:
    run = open_run(runs / "demo")
    table = open_table(run)
    facts, species = table.overview(), table.per_label()
    said = whalecam("info", run.path).stdout
    assert f"The leaks: {leaks_summary(facts, species, run.words)}" in said
    assert "What to do: Simulate the remedies first" in said
    assert said.splitlines()[-1] == f"Next: python -m whalecam simulate {run.path}"
    lines = [
        re.split(" {2,}", line.strip()) for line in said.splitlines() if line.startswith("  ") and "images" not in line
    ]
    most = species.sort_values(["share", "label"], ascending=[False, True]).iloc[0]
    assert lines[0][0] == most["label"]
    assert {line[0]: line[3].split()[0] for line in lines[: len(species)]} == {
        name: str(count) for name, count in zip(species["label"], species["confirmed"], strict=True)
    }
    assert f"Assessments: confirmed leak {facts['confirmed']}, " in said and "missing file 1" in said
    assert max(map(len, said.splitlines())) < 400, "no list of a program's is printed raw"
    whalecam("simulate", run.path, "--limit", "12")
    advice = json.loads(whalecam("info", run.path, "--json").stdout)["advice"]
    assert f"What to do: {advice['said']}" in whalecam("info", run.path).stdout


def test_info_of_a_run_before_its_audit_says_what_comes_next(runs: Path) -> None:
    open_run(runs / "demo").clear_audit()
    said = whalecam("info", runs / "demo").stdout.splitlines()
    assert said[-2:] == ["Nothing is audited yet.", f"Next: python -m whalecam audit {runs / 'demo'}"]
    shutil.rmtree(runs / "demo" / "model")
    open_run(runs / "demo").update(model_sha256="", classes=())
    assert whalecam("info", runs / "demo").stdout.splitlines()[1:] == [
        "It has no network yet.",
        "Nothing is audited yet.",
    ]


@pytest.mark.parametrize("remedy", ["crop", "neutral", "drop", "relabel"])
def test_export_dataset_leaves_the_source_as_it_is(runs: Path, prepared: Path, tmp_path: Path, remedy: str) -> None:
    run, source = runs / "demo", prepared / "pictures" / "train.csv"
    before, first = source.read_bytes(), "00000.jpg"
    whalecam("flag", run, first, "--verdict", "flag", "--reviewer", "Ana", "--suggested-label", "beluga")
    done = whalecam("export-dataset", run, "--remedy", remedy, "--out", tmp_path / "out", "--json")
    facts = json.loads(done.stdout)
    table = pd.read_csv(tmp_path / "out" / "train.csv")
    assert facts["written"] == len(table) == len(list((tmp_path / "out" / "images").iterdir()))
    assert source.read_bytes() == before
    expected = {"drop": (0, 1), "relabel": (1, 0)}.get(remedy, (facts["written"], 0))
    assert (facts["changed"], facts["left_out"]) == expected


def test_progress_for_programs_and_a_cancelled_training_leaves_nothing(prepared: Path, tmp_path: Path) -> None:
    pictures = prepared / "pictures"
    verb: list[str | Path] = [sys.executable, "-m", "whalecam", "train", pictures / "train.csv", pictures / "images"]
    child = subprocess.Popen(
        verb
        + ["--run", tmp_path / "r"]
        + ["--arch", "resnet18", "--no-pretrained", "--size", "64", "--epochs", "50", "--batch", "8"],
        cwd=ROOT,
        env={**os.environ, "WHALECAM_PROGRESS": "json"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    lines = []
    for text in child.stderr:
        if text.startswith("{"):
            lines.append(json.loads(text))
            if lines[-1].get("stage") == "training" and lines[-1]["done"] >= 2:
                child.send_signal(signal.SIGINT)
                break
    lines += [json.loads(text) for text in child.stderr if text.startswith("{")]
    assert child.wait(60) == 130
    assert lines[-1] == {"state": "cancelled", "message": "Cancelled."}
    assert "train_loss" in next(line for line in lines if line.get("stage") == "training" and line["done"])["values"]
    assert not (tmp_path / "r" / "model").exists()
    assert not open_run(tmp_path / "r").trained


def test_export_takes_the_labels_map_and_leaves_the_source_alone(runs: Path, tmp_path: Path) -> None:
    run = runs / "demo"
    source = Path(open_run(run).manifest.dataset.csv)
    before = source.read_bytes()
    (tmp_path / "map.csv").write_text("old,new\nbottlenose_dolpin,bottlenose_dolphin\n")
    plain = whalecam("export", run, "--out", tmp_path / "plain.csv", "--only", "all")
    merged = whalecam(
        "export", run, "--out", tmp_path / "merged.csv", "--only", "all", "--labels-map", tmp_path / "map.csv"
    )
    assert plain.returncode == merged.returncode == 0, merged.stderr
    one, other = (pd.read_csv(tmp_path / name, dtype=str) for name in ("plain.csv", "merged.csv"))
    assert "bottlenose_dolpin" in set(one["species"]) and source.read_bytes() == before
    for name in one.columns:
        slow = ["bottlenose_dolphin" if cell == "bottlenose_dolpin" else cell for cell in one[name].fillna("")]
        assert other[name].fillna("").tolist() == slow, name
    refused = whalecam("export", run, "--out", tmp_path / "no.csv", "--labels-map", tmp_path / "plain.csv")
    assert refused.returncode == 2 and "old" in refused.stderr and not (tmp_path / "no.csv").exists()


def test_check_of_a_run_speaks_of_outliers_only_where_there_are_some(runs: Path, prepared: Path) -> None:
    pictures = prepared / "pictures"
    done = whalecam("check", pictures / "train.csv", "--no-images", "--run", runs / "demo", "--json")
    codes = {finding["code"] for finding in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1 and "look_alike" in codes and "outlier" not in codes


def test_thresholds_decide_what_is_printed_and_exported(runs: Path, tmp_path: Path) -> None:
    run, lax = runs / "demo", ("--attention-threshold", "0.5", "--false-rate", "0.2")
    usual, wide = (whalecam("info", run, *options) for options in ((), lax))
    assert usual.returncode == wide.returncode == 0, wide.stderr
    assert "at most 5\u00a0% are false" in usual.stdout and "at most 20\u00a0% are false" in wide.stdout
    facts = json.loads(whalecam("info", run, "--json", *lax).stdout)
    level = Thresholds(attention=0.5, false_rate=0.2)
    table = open_table(open_run(run), level)
    assert facts["thresholds"] == level.noted() and facts["confirmed"] == table.overview()["confirmed"]
    assert facts["confirmed"] > open_table(open_run(run)).overview()["confirmed"]
    done = whalecam("export", run, "--out", tmp_path / "all.csv", "--only", "all", *lax)
    assert "attention 0.5, reliance 0.25, at most 20\u00a0% false" in done.stdout
    rows = pd.read_csv(tmp_path / "all.csv", dtype=str, keep_default_na=False)
    assert set(rows["attention_threshold"]) == {"0.5"} and set(rows["false_rate"]) == {"0.2"}
    assert rows["assessment"].tolist() == table.all_rows()["assessment"].tolist()
