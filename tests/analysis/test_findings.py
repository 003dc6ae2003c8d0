"""Findings on tables: labels and individuals with known answers, the real table's known facts, and nothing invented."""

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.commandline import whalecam
from whalecam.analysis.findings import FAMILIES, SEVERITIES, Evidence, Finding, find, labels_map, write
from whalecam.analysis.findings.names import PERHAPS, SAME, likeness, look_alikes, words_of
from whalecam.analysis.findings.synonyms import SYNONYMS
from whalecam.config import Columns
from whalecam.data import OK, Dataset, merge_labels, open_dataset


def table(rows: list[tuple[str, str]]) -> Dataset:
    """A data set of (species, individual) rows without files."""
    frame = pd.DataFrame(rows, columns=["label", "group"], dtype=str)
    frame.insert(0, "image", [f"{number:05d}.jpg" for number in range(len(frame))])
    return Dataset(Path("train.csv"), None, Columns(), frame.assign(path="", status=OK), "")


def herd(species: str, individuals: int, each: int = 1, prefix: str = "") -> list[tuple[str, str]]:
    """`each` rows of every one of some individuals of a species."""
    return [(species, f"{prefix or species}-{number}") for number in range(individuals) for _ in range(each)]


def found(rows: list[tuple[str, str]], code: str = "") -> list[Finding]:
    return [finding for finding in find(Evidence(table(rows))) if code in ("", finding.code)]


CLEAN = [*herd("orca", 30), *herd("beluga", 40), *herd("humpback_whale", 25)]


def test_a_set_without_faults_yields_nothing_above_info() -> None:
    assert {finding.severity for finding in found(CLEAN)} == {"info"}


def test_every_finding_says_what_why_and_what_to_do(real_data: Path) -> None:
    rows = [*CLEAN, *herd("orka", 3, 4), *herd("humpback_wale", 2, 2), ("beluga", "orca-1"), *herd("killer_whale", 300)]
    found_ = found(rows)
    assert {finding.code for finding in found_} >= {
        "look_alike",
        "same_class",
        "imbalance",
        "two_species",
        "split_leak",
    }
    for finding in found_:
        assert finding.severity in SEVERITIES
        for text in (finding.sentence, finding.why, finding.todo):
            assert text.strip() == text and text[-1] in ".?" and "\n" not in text, text
    assert len({finding.key for finding in found_}) == len(found_)
    assert [SEVERITIES.index(f.severity) for f in found_] == sorted(SEVERITIES.index(f.severity) for f in found_)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_takes_a_table_with_nothing_in_it(name: str) -> None:
    assert FAMILIES[name](Evidence(table([]))) == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("kiler_whale", "killer_whale", SAME),
        ("bottlenose_dolpin", "bottlenose_dolphin", SAME),
        ("Killer Whale", "killer_whale", SAME),
        ("bryde's whale", "brydes_whale", SAME),
        ("bottle_nose", "bottlenose", SAME),
        ("Größe_wal", "grosse wal", SAME),
        ("dolhpin", "dolphin", SAME),
        ("humpback_wale", "humpback_whale", SAME),
        ("seal", "seals", SAME),
        ("bottelnosed_dolphin", "bottlenose_dolphin", SAME),
        ("mouse", "moose", PERHAPS),
        ("goose", "moose", None),
        ("fin_whale", "sei_whale", None),
        ("cat", "car", None),
        ("long_finned_pilot_whale", "short_finned_pilot_whale", None),
        ("pilot_whale", "short_finned_pilot_whale", None),
        ("station_12_north", "station_21_north", None),
        ("class 1", "class 11", None),
        ("northern_seal", "southern_seal", None),
        ("", "orca", None),
        ("---", "...", None),
    ],
)
def test_likeness(one: str, other: str, expected: str | None) -> None:
    assert likeness(one, other) == likeness(other, one) == expected


@given(st.text(max_size=20), st.text(max_size=20))
def test_likeness_is_symmetric_and_takes_any_text(one: str, other: str) -> None:
    assert likeness(one, other) == likeness(other, one)


@given(st.text("abcdefghij", min_size=5, max_size=12), st.data())
def test_a_letter_left_out_is_found_wherever_it_was(word: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(word) - 1))
    left = word[:at] + word[at + 1 :]
    if left[0] == word[0]:
        assert likeness(f"{word}_whale", f"{left}_whale") == SAME


def test_many_names_are_compared_by_spelling_alone_and_quickly() -> None:
    names = [f"name {number}" for number in range(20_000)]
    assert look_alikes([*names, "NAME_7"]) == [("name 7", "NAME_7", SAME)]


def test_twins_without_a_shared_individual_are_a_source_shortcut() -> None:
    [finding] = found([*herd("killer_whale", 20), *herd("kiler_whale", 12), *herd("beluga", 20)], "look_alike")
    assert finding.about == ("killer_whale", "kiler_whale")
    assert finding.facts["source_shortcut"] and finding.facts["shared_individuals"] == 0
    assert "source shortcut" in finding.why
    assert len(finding.rows) == 12 and set(finding.rows["suggested_label"]) == {"killer_whale"}


def test_twins_that_share_individuals_are_no_source_shortcut() -> None:
    rows = [*herd("killer_whale", 20, prefix="k"), *herd("kiler_whale", 12, prefix="k"), *herd("beluga", 20)]
    [finding] = found(rows, "look_alike")
    assert finding.facts["shared_individuals"] == 12 and not finding.facts["source_shortcut"]
    assert found(rows, "two_species")[0].severity == "info", "the misspelling explains it"


def test_twins_of_one_individual_claim_nothing_about_sources() -> None:
    [finding] = found([*herd("killer_whale", 20), *herd("kiler_whale", 1, each=12)], "look_alike")
    assert not finding.facts["source_shortcut"] and "source" not in finding.why


def test_twins_of_unknown_individuals_claim_nothing_about_sources() -> None:
    [finding] = found([*[("killer_whale", "")] * 20, *[("kiler_whale", "")] * 12], "look_alike")
    assert not finding.facts["source_shortcut"] and "no known groups" in finding.sentence


def test_synonyms_are_asked_not_asserted() -> None:
    findings = found([*herd("orca", 20), *herd("killer_whale", 20), *herd("beluga", 20)])
    [question] = [finding for finding in findings if finding.code == "same_class"]
    assert question.severity == "low" and question.sentence.startswith("Do ") and "?" in question.sentence
    assert labels_map(findings).empty


def test_no_name_stands_twice_among_the_synonyms_of_one_line() -> None:
    for meaning, names in SYNONYMS:
        assert len({words_of(name) for name in names}) == len(names) > 1, meaning


def test_several_spellings_become_the_most_frequent_one(tmp_path: Path) -> None:
    rows = [*herd("killer_whale", 30), *herd("kiler_whale", 20), *herd("Killer whale", 10), *herd("beluga", 9)]
    findings = found(rows)
    write(findings, tmp_path)
    mapped = merge_labels(table(rows), tmp_path / "labels-map.csv")
    assert mapped.classes() == ("beluga", "killer_whale")
    assert pd.read_csv(tmp_path / "labels-map.csv").columns.tolist() == ["old", "new"]
    assert len(list(tmp_path.glob("*look-alike.csv"))) == 3


@pytest.mark.parametrize(("few", "severity"), [(200, None), (20, "low"), (2, "medium")])
def test_imbalance(few: int, severity: str | None) -> None:
    findings = found([*herd("orca", 200), *herd("beluga", few)], "imbalance")
    assert [finding.severity for finding in findings] == ([severity] if severity else [])


def test_small_classes_are_named() -> None:
    rows = [*CLEAN, *herd("narwhal", 9), *herd("dugong", 1, each=30), *[("manatee", "")] * 12]
    [finding] = found(rows, "too_small")
    assert sorted(finding.rows["label"]) == ["dugong", "narwhal"]


def test_individuals_of_two_species_are_listed_with_their_pictures() -> None:
    [finding] = found([*CLEAN, ("beluga", "orca-3"), ("beluga", "")], "two_species")
    assert finding.severity == "high" and finding.facts["individuals"] == 1
    assert finding.rows["group"].tolist() == ["orca-3"] * 2


def test_what_a_random_split_leaks_counted_slowly() -> None:
    from whalecam.data import folds

    rows = [*herd("orca", 40, 3), *herd("beluga", 80), *[("beluga", "")] * 20]
    [finding] = found(rows, "split_leak")
    who = [individual for _, individual in rows]
    valid = folds.split_rows(who, [species for species, _ in rows], kind="random", valid_share=0.2, seed=0)
    training = [name for name, judged in zip(who, valid, strict=True) if not judged]
    slow = [number for number, judged in enumerate(valid) if judged and who[number] and who[number] in training]
    assert finding.rows["image"].tolist() == [f"{number:05d}.jpg" for number in slow]
    assert finding.facts["share"] == pytest.approx(len(slow) / valid.sum()) and finding.facts["grouped"] == 0


def test_a_set_without_individuals_has_no_finding_on_them() -> None:
    assert FAMILIES["Individuals"](Evidence(table([("orca", "")] * 30))) == []


def test_unusable_rows_are_found_by_reason(prepared: Path) -> None:
    data = open_dataset(prepared / "pictures" / "train.csv", prepared / "pictures" / "images")
    findings = [finding for finding in find(Evidence(data)) if finding.code == "unusable"]
    assert {finding.about[0]: finding.severity for finding in findings} == {
        "missing file": "high",
        "duplicate row": "medium",
    }


def test_the_real_table_has_its_known_faults_and_no_others(real_data: Path) -> None:
    """The facts of the data's README, each once, and not one look-alike more."""
    done = whalecam("check", real_data / "happywhale" / "train.csv", "--no-images", "--json")
    facts = {"|".join((f["code"], *f["about"])): f["facts"] for f in json.loads(done.stdout)["findings"]}
    one, two = (
        facts.pop(f"look_alike|{name}") for name in ("bottlenose_dolphin|bottlenose_dolpin", "killer_whale|kiler_whale")
    )
    assert (one["images_kept"], one["images"], one["shared_individuals"]) == (9664, 1117, 0)
    assert (two["images_kept"], two["images"], two["shared_individuals"]) == (1493, 962, 0)
    asked = facts.pop("same_class|globis|pilot_whale|short_finned_pilot_whale")
    assert asked["labels"] == {"globis": 116, "pilot_whale": 262, "short_finned_pilot_whale": 367}
    assert (facts["imbalance"]["most"], facts.pop("imbalance")["least"]) == (9664, 14)
    assert (facts["seen_once"]["once"], facts.pop("seen_once")["individuals"]) == (9258, 15587)
    assert facts.pop("two_species")["individuals"] == 0
    leak = facts.pop("split_leak")
    assert abs(leak["share"] - 0.79) <= 0.02 and leak["grouped"] == 0
    assert not facts


def test_individuals_as_labels_are_no_trouble(real_data: Path) -> None:
    """15,587 classes: nothing that grows with their square."""
    table, boxes = (real_data / "happywhale" / name for name in ("train.csv", "train_body_boxes_model.csv"))
    done = whalecam("check", table, "--no-images", "--label-column", "individual_id", "--boxes", boxes, "--json")
    assert done.returncode == 1 and not [f for f in json.loads(done.stdout)["findings"] if f["code"] == "look_alike"]


def test_check_writes_rows_and_a_map_that_training_takes(prepared: Path, tmp_path: Path) -> None:
    csv = prepared / "pictures" / "train.csv"
    done = whalecam("check", csv, "--no-images", "--out", tmp_path / "out")
    assert done.returncode == 1 and "Why: " in done.stdout and "What to do: " in done.stdout
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert "labels-map.csv" in names and any("look-alike" in name for name in names)
    assert (
        "bottlenose_dolpin" not in merge_labels(open_dataset(csv, None), tmp_path / "out" / "labels-map.csv").classes()
    )


def test_no_cell_of_a_finding_is_a_formula_and_the_map_still_merges(tmp_path: Path) -> None:
    rows = "".join(f"a{n}.jpg,=humpback_whale,i{n}\n" for n in range(40))
    rows += "".join(f"b{n}.jpg,=humpbak_whale,j{n}\n" for n in range(20))
    (tmp_path / "train.csv").write_text("image,species,individual_id\n" + rows)
    data = open_dataset(tmp_path / "train.csv", None)
    write(find(Evidence(data)), tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        cells = [cell for row in csv.reader(path.open(newline="")) for cell in row]
        assert cells and not [cell for cell in cells if cell.startswith("=")]
    merged = merge_labels(data, tmp_path / "out" / "labels-map.csv")
    assert set(merged.table["label"]) == {"=humpback_whale"}
