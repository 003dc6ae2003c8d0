"""Matches of a run: a reader of water is caught, one of animals is not; resumed, signed, exported, read back."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import nn

import whalecam as wc
from tests import individuals
from tests.commandline import whalecam
from whalecam.app.screens.matches import verdict_words
from whalecam.assessment.match_reliance import PLACEBO_LIMIT, match_reliance
from whalecam.assessment.reliance import Exchanges
from whalecam.errors import DatasetError, ReviewError, RunError
from whalecam.explain.background_test.backgrounds import Water
from whalecam.explain.background_test.match_exchange import rearranged
from whalecam.network.embedding import Encode
from whalecam.output.csv import match_file
from whalecam.output.match_sentences import kind_lines, record_lines
from whalecam.stats import symmetric_rates
from whalecam.store.matches import MatchTables, map_of
from whalecam.store.reviews.match_verdicts import MatchJournal, MatchVerdict
from whalecam.store.run import MATCH_QUERIES, Run
from whalecam.words import Words


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return individuals.draw(tmp_path_factory.mktemp("individuals"))


def matched(folder: Path, csv: Path, encode: Encode, **options: Any) -> Run:
    run = individuals.run_of(folder, csv)
    encoder = wc.open_encoder(encode=encode, size=individuals.SIDE)
    wc.matches(run, model=encoder, masks=csv.parent / "masks", **options)
    return run


@pytest.fixture(scope="module")
def water(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return matched(tmp_path_factory.mktemp("water"), drawn, individuals.water_reader)


def test_a_reader_of_the_water_is_found_out(water: Run) -> None:
    tables = MatchTables(water)
    record, rows = tables.record, tables.assessed()
    assert record is not None and (record.images, record.individuals, record.encounters) == (36, 6, 12)
    assert record.random.top1 == 1 and record.without_encounter.top1 is not None
    assert record.without_encounter.top1 < 0.5 < record.placebo.top1  # type: ignore[operator]
    assert len(rows) == 36 and rows["same_encounter"].all() and rows["is_right"].all()
    assert rows["drop"].min() > 0.5 and rows["placebo"].abs().max() < 0.2
    assert set(rows["assessment"]) == {"background_reliance"}  # without positions there is no map
    assert rows["background_finds"].all() and (rows["query_exchanged"] < 0.9).all()
    assert rows["background_only"].min() > 0.95
    assert any("rest on the encounter" in line for line in record_lines(water))
    (kind,) = [line for line in record_lines(water) if "beyond chance" in line]
    gap = (rows["drop"] - rows["placebo"]).mean()
    assert kind.startswith("Matches within an encounter") and f"{100 * gap:.0f}" in kind


def test_a_reader_of_the_animal_is_not(drawn: Path, tmp_path: Path) -> None:
    run = matched(tmp_path / "run", drawn, individuals.animal_reader)
    tables = MatchTables(run)
    rows, record = tables.assessed(), tables.record
    assert record is not None and record.without_encounter.top1 == 1
    assert rows["drop"].abs().max() < 0.1 and set(rows["assessment"]) == {"clean"}
    assert (rows["rank_exchanged"] == 1).all()
    assert any("do not rest on the encounter" in line for line in record_lines(run))


def test_of_a_match_that_any_edit_breaks_nothing_is_said(drawn: Path, tmp_path: Path) -> None:
    """A reader that knows the photographs alone: to every other image it gives a vector of its own."""
    known = {np.asarray(Image.open(path)).tobytes() for path in (drawn.parent / "images").iterdir()}

    def fragile(images: Any) -> Any:
        vectors = individuals.animal_reader(images)
        for at, image in enumerate(images):
            if image.tobytes() not in known:
                rng = np.random.default_rng(np.frombuffer(image[:2].tobytes(), np.uint8))
                vectors[at] = rng.normal(size=vectors.shape[1])
        return vectors

    run = matched(tmp_path / "run", drawn, fragile)
    rows = MatchTables(run).assessed()
    broken = rows["placebo"] >= PLACEBO_LIMIT
    assert broken.sum() > 30 and rows.loc[broken, "drop"].min() > 0.25
    assert set(rows.loc[broken, "assessment"]) == {"not_assessable"}
    (line,) = [line for line in record_lines(run) if "the test says nothing" in line]
    assert line.startswith(f"Of {broken.sum()} ") and "drops by 25\u00a0% or more too" in line


def test_exchanged_backgrounds_are_of_other_encounters_and_other_individuals(water: Run) -> None:
    rows = MatchTables(water).read(MATCH_QUERIES)
    assert (rows["own"].map(len) == 4).all() and (rows["other"].map(len) == 6).all()
    for own, other in zip(rows["own_donors"], rows["other_donors"], strict=True):
        assert not set(own) & set(other)


def test_it_goes_on_where_it_was_left(water: Run, drawn: Path, tmp_path: Path) -> None:
    run = matched(tmp_path / "run", drawn, individuals.water_reader, limit=5)
    encoder = wc.open_encoder(encode=individuals.water_reader, size=individuals.SIDE)
    masks = drawn.parent / "masks"
    done = wc.matches(run, model=encoder, masks=masks)
    assert (done.queries, done.new, done.restarted) == (36, 31, False)
    whole, apart = (MatchTables(each).assessed().drop(columns="settings", errors="ignore") for each in (water, run))
    pd.testing.assert_frame_equal(whole, apart)
    assert wc.matches(run, model=encoder, masks=masks).new == 0
    assert wc.matches(run, model=encoder, masks=masks, limit=3, donors=4).restarted


def test_maps_of_a_module_add_up_and_are_stored(drawn: Path, tmp_path: Path) -> None:
    features = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), nn.ReLU())
    module = nn.Sequential(features, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())).eval()
    run = individuals.run_of(tmp_path / "run", drawn)
    wc.matches(run, model=wc.open_encoder(module, size=48), masks=drawn.parent / "masks", limit=4)
    tables = MatchTables(run)
    rows = tables.assessed()
    assert rows["completeness_error"].max() <= 1e-5
    assert rows["query_share"].between(0, 1).all() and rows["candidate_share"].between(0, 1).all()
    pairs = tables.pairs_of(rows["query"].iloc[0])
    assert pairs["rank"].tolist() == [1, 2, 3, 4, 5] and (pairs["similarity"].diff().dropna() <= 1e-6).all()
    for pair in pairs.to_dict("records"):
        values = map_of(pair["query_map"], pair["map_height"], pair["map_width"])
        assert values is not None and values.shape == (6, 6)
        assert float(values.sum()) == pytest.approx(pair["similarity"], abs=2e-3)  # float16


def test_without_encounters_it_says_so(drawn: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(drawn).drop(columns="date")
    frame.to_csv(tmp_path / "train.csv", index=False)
    data = wc.open_dataset(tmp_path / "train.csv", drawn.parent / "images")
    run = individuals.run_of(tmp_path / "run", drawn)
    encoder = wc.open_encoder(encode=individuals.water_reader, size=48)
    record = wc.matches(run, data, model=encoder, masks=drawn.parent / "masks", limit=2).record
    assert record.encounters == 0 and "--encounter" in record.notes[0]
    with pytest.raises(DatasetError, match="no group 'tide'"):
        wc.matches(run, data, model=encoder, encounter="tide")


def test_what_cannot_be_matched_is_said(drawn: Path, tmp_path: Path) -> None:
    run = individuals.run_of(tmp_path / "run", drawn)
    with pytest.raises(RunError, match="no network"):
        wc.matches(run)
    with pytest.raises(RunError, match="no matches yet"):
        wc.match_table(run)
    pd.read_csv(drawn).assign(individual_id="").to_csv(tmp_path / "train.csv", index=False)
    with pytest.raises(DatasetError, match="0 individuals"):
        wc.matches(
            run,
            wc.open_dataset(tmp_path / "train.csv", drawn.parent / "images"),
            model=wc.open_encoder(encode=individuals.water_reader, size=48),
        )
    with pytest.raises(TypeError, match="either a model"):
        wc.open_encoder()


def test_verdicts_are_signed_undone_exported_and_read_back(water: Run, tmp_path: Path) -> None:
    journal = MatchJournal.of(water)
    rows = wc.match_table(water)
    pairs = list(zip(rows["query"], rows["candidate"], strict=True))
    journal.sign([MatchVerdict(*pairs[0], "background", "Ann"), MatchVerdict(*pairs[1], "same", "Ann", note="=1+1")])
    journal.sign([MatchVerdict(*pairs[0], "same", "Bo")])
    assert wc.match_table(water).set_index("query").loc[pairs[0][0], "verdict"] == "same"
    assert journal.undo("Bo") == MatchVerdict(
        *pairs[0], "same", "Bo", "", journal.history(pairs[0][0])["reviewed_at"][1]
    )
    assert journal.undo("Bo") is None
    assert journal.history(pairs[0][0])["event"].tolist() == ["sign", "sign", "undo"]
    content = match_file.write_matches(water)
    assert b"'=1+1" in content and b"'=whale0" in content
    (tmp_path / "matches.csv").write_bytes(content)
    again = match_file.import_matches(water, tmp_path / "matches.csv")
    assert (again.added, again.unchanged, again.unknown) == (0, 2, ())
    changed = pd.read_csv(tmp_path / "matches.csv", dtype=str, keep_default_na=False)
    changed.loc[2, ["verdict", "reviewer"]] = ["different", "Cy"]
    changed.loc[3, ["query", "verdict", "reviewer"]] = ["nowhere.png", "same", "Cy"]
    changed.to_csv(tmp_path / "changed.csv", index=False)
    done = match_file.import_matches(water, tmp_path / "changed.csv")
    assert (done.added, done.unchanged, len(done.unknown)) == (1, 2, 1)
    assert wc.match_table(water)["verdict"].value_counts().to_dict()["different"] == 1
    sheet = match_file.write_wildbook(water).decode()
    assert "Encounter.mediaAsset0" in sheet and "matched by its background alone with" in sheet


@pytest.mark.parametrize(
    ("verdict", "message"),
    [
        (MatchVerdict("a", "b", "maybe", "Ann"), "not a verdict on a match"),
        (MatchVerdict("a", "b", "same", " "), "must be signed"),
        (MatchVerdict("", "b", "same", "Ann"), "names of both"),
        (MatchVerdict("a", "b", "same", "Ann", "\0"), "NUL"),
    ],
)
def test_what_is_no_verdict(water: Run, verdict: MatchVerdict, message: str) -> None:
    with pytest.raises(ReviewError, match=message):
        MatchJournal.of(water).sign([verdict])


def test_another_file_is_no_list_of_matches(water: Run) -> None:
    with pytest.raises(ReviewError, match="no column 'query'"):
        match_file.import_matches(water, b"image,verdict\na,flag\n")


def test_the_command_line_makes_and_signs_matches(drawn: Path, tmp_path: Path) -> None:
    run = individuals.run_of(tmp_path / "run", drawn)
    failed = whalecam("matches", str(run.path))
    assert failed.returncode == 2 and "no network" in failed.stderr


def test_every_verdict_has_a_button() -> None:
    from whalecam.config import MATCH_VERDICTS

    assert tuple(verdict_words(Words())) == MATCH_VERDICTS


def test_kinds_of_matches_are_tested_by_encounter() -> None:
    """Five encounters of two queries: the mean gap against all 32 signs of their sums, by hand."""
    gaps = np.array([0.9, 0.7, 0.5, 0.6, 0.4, 0.2, 0.1, -0.1, -0.2, 0.1])
    encounter = np.repeat(np.arange(5), 2)
    nothing = np.zeros((10, 1))
    exchanges = Exchanges(
        predicted=np.ones(10, np.int64),
        before=np.full(10, 1.0),
        own=np.full((10, 1), 1.0),
        other=1 - gaps[:, None],
        own_unit=nothing.astype(np.int64),
        other_unit=nothing.astype(np.int64),
    )
    (test,) = match_reliance(exchanges, encounter).kinds.values()
    sums = gaps.reshape(5, 2).sum(axis=1)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 5)).reshape(5, -1).T
    exact = float((signs @ sums >= sums.sum() - 1e-9).mean())
    assert test.gap == pytest.approx(gaps.mean()) and test.donors == 5
    assert test.p_value == pytest.approx(exact, abs=0.015)


def test_only_far_drops_of_relying_kinds_are_listed() -> None:
    """Thirty matches that fall far within encounters, thirty across that do not; placebos hardly move."""
    rng = np.random.default_rng(0)
    kind, place = np.repeat([1, 0], 30), np.arange(60)
    before, own = np.full(60, 0.9), 0.9 - rng.uniform(0, 0.02, (60, 2))
    other = np.where(kind[:, None] == 1, 0.1, 0.9 - rng.uniform(0, 0.02, (60, 3)))
    units = np.zeros((60, 3), np.int64)
    exchanges = Exchanges(predicted=kind, before=before, own=own, other=other, own_unit=units[:, :2], other_unit=units)
    found = match_reliance(exchanges, place)
    assert found.kinds[1].p_value < 0.01 and found.kinds[0].p_value > 0.05
    assert (found.q_value[kind == 1] <= 0.05).all() and (found.q_value[kind == 0] == 1).all()
    slight = Exchanges(**{**vars(exchanges), "other": np.where(kind[:, None] == 1, 0.45, other)})
    assert (match_reliance(slight, place).q_value == 1).all()


def of_one_kind(own: NDArray[np.float64], other: NDArray[np.float64]) -> Exchanges:
    """Matches of one kind, as probable as 0.9 on their own backgrounds."""
    own_unit, other_unit = (np.zeros(side.shape, np.int64) for side in (own, other))
    return Exchanges(
        predicted=np.ones(len(own), np.int64),
        before=np.full(len(own), 0.9),
        own=own,
        other=other,
        own_unit=own_unit,
        other_unit=other_unit,
    )


def test_matches_that_fall_whatever_is_done_neither_are_listed_nor_keep_others_from_it() -> None:
    """Thirty that fall on foreign backgrounds alone, and thirty that fall as far on their own."""
    rng = np.random.default_rng(1)
    is_fragile = np.repeat([False, True], 30)
    fallen = 0.1 + rng.uniform(0, 0.2, (60, 5))
    own = np.where(is_fragile[:, None], fallen[:, :2], 0.9 - rng.uniform(0, 0.05, (60, 2)))
    other = np.where(is_fragile[:, None], fallen[:, 2:], 0.1 + rng.uniform(0, 0.2, (60, 3)))
    exchanges = of_one_kind(own, other)
    listed = match_reliance(exchanges, np.arange(60)).q_value <= 0.05
    assert exchanges.placebo[is_fragile].min() > 0.6
    assert listed[~is_fragile].all() and listed[is_fragile].mean() < 0.1


def test_of_few_relying_matches_it_is_said_why_none_is_listed() -> None:
    tests = match_reliance(of_one_kind(np.full((12, 2), 0.9), np.full((12, 3), 0.1)), np.arange(12)).kinds
    kinds = {"same encounter": tests[1]}
    proven, why = kind_lines(kinds, 0, 0.05, "water")
    assert "rest on the water beyond chance" in proven and "by 80 points more" in proven
    assert "drop of 50 points" in why and "20 or more" in why and "test more matches" in why
    assert kind_lines(kinds, 3, 0.05, "water") == [proven]
    nothing = match_reliance(of_one_kind(np.full((12, 2), 0.9), np.full((12, 3), 0.9)), np.arange(12)).kinds
    assert kind_lines({"other encounter": nothing[1]}, 0, 0.05, "water") == []


def test_a_background_rearranged_has_the_same_contents_and_no_seam() -> None:
    """Each row of (0, 1, 2, 3, 4, 5): mirrored, the right half with its mirror image, the left half with its own."""
    row = np.arange(6, dtype=np.uint8)
    filled = np.repeat(np.repeat(row[None, :, None], 4, axis=0), 3, axis=2)
    water = Water(np.zeros(3, np.float32), np.zeros(4, np.float32), filled)
    drawn = [each.filled[2, :, 1].tolist() for each in rearranged(water)]
    assert drawn == [[5, 4, 3, 2, 1, 0], [3, 4, 5, 5, 4, 3], [2, 1, 0, 0, 1, 2]]
    assert all(each.mean is water.mean and each.strengths is water.strengths for each in rearranged(water))


@given(st.lists(st.sampled_from([-0.9, -0.5, -0.1, 0.0, 0.1, 0.4, 0.5, 0.9, float("nan")]), max_size=40))
def test_rates_of_signed_values_are_those_of_a_slow_loop(values: list[float]) -> None:
    known = [value for value in values if not np.isnan(value)]

    def slow(value: float) -> float:
        levels = [level for level in known if 0 < level <= value]
        counts = [(sum(each <= -level for each in known), sum(each >= level for each in known)) for level in levels]
        return min([1.0, *((1 + below) / above for below, above in counts)])

    for value, rate in zip(values, symmetric_rates(values), strict=True):
        assert np.isnan(rate) if np.isnan(value) else rate == pytest.approx(slow(value))


def test_of_signed_values_that_are_listed_few_are_false() -> None:
    """Of a hundred sets with forty real ones among sixty of chance, the share of false ones, in the mean."""
    rng, shares, reached = np.random.default_rng(0), [], []
    for _ in range(100):
        values = np.concatenate([rng.normal(3, 1, 40), rng.normal(0, 1, 60)])
        listed = np.array(symmetric_rates(values.tolist())) <= 0.1
        shares.append(listed[40:].sum() / max(1, listed.sum()))
        reached.append(listed[:40].mean())
    assert np.mean(shares) < 0.11 and np.mean(reached) > 0.6


def test_numbers_are_finite_where_they_stand(water: Run) -> None:
    rows = MatchTables(water).assessed()
    assert np.isfinite(rows[["before", "drop", "placebo", "q_value", "similarity"]].to_numpy(float)).all()
