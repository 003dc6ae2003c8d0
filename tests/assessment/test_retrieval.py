"""Candidates, ranks and the encounter leak: against the slow and obvious way; splits by encounter."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whalecam.assessment import retrieval
from whalecam.data import of_frame
from whalecam.data.encounters import LEFT_OUT, NEW, QUERY, TRAIN, encounter_split, encounters_of
from whalecam.errors import DatasetError


def drawn(images: int = 40, people: int = 9, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    vectors = retrieval.unit(rng.normal(size=(images, 6)))
    return vectors, rng.integers(-1, people, images), rng.integers(-1, 7, images)


def slow_candidates(vectors: np.ndarray, individual: np.ndarray, query: int) -> list[tuple[float, int, int]]:
    best: dict[object, tuple[float, int, int]] = {}
    for image in range(len(vectors)):
        if image == query:
            continue
        value = float(sum(float(a) * float(b) for a, b in zip(vectors[query], vectors[image], strict=True)))
        key = int(individual[image]) if individual[image] >= 0 else f"unknown {image}"
        if key not in best or value > best[key][0]:
            best[key] = (value, image, int(individual[image]))
    return sorted(best.values(), reverse=True)


@pytest.mark.parametrize("block", [1, 1 << 24])
def test_candidates_are_those_of_a_slow_search(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "BLOCK_VALUES", block)
    vectors, individual, encounter = drawn()
    gallery = retrieval.gallery_of(vectors, individual, encounter)
    found = retrieval.candidates(gallery, vectors, 4, np.arange(len(vectors)))
    for query in range(len(vectors)):
        expected = slow_candidates(vectors, individual, query)[:4]
        assert found.similarity[query].tolist() == pytest.approx([value for value, _, _ in expected], abs=1e-6)
        assert found.image[query].tolist() == [image for _, image, _ in expected]
        known = [person for _, _, person in expected if person >= 0]
        assert [person for person in found.individual[query].tolist() if person >= 0] == known


def test_ranks_are_the_places_among_all_candidates() -> None:
    vectors, individual, _ = drawn()
    gallery = retrieval.gallery_of(vectors, individual)
    found = retrieval.ranks(gallery, vectors, individual, leave_out=np.arange(len(vectors)))
    for query in range(len(vectors)):
        every = slow_candidates(vectors, individual, query)
        places = [at for at, (_, _, person) in enumerate(every, 1) if person == individual[query] >= 0]
        assert found.rank[query] == (places[0] if places else 0)
        assert float(found.best[query]) == pytest.approx(every[0][0], abs=1e-6)
        others = [value for value, _, person in every if not (person == individual[query] >= 0)]
        assert float(found.other[query]) == pytest.approx(others[0], abs=1e-6)


def test_without_the_encounter_its_images_are_not_compared() -> None:
    vectors, individual, encounter = drawn(seed=1)
    gallery = retrieval.gallery_of(vectors, individual, encounter)
    found = retrieval.ranks(gallery, vectors, individual, leave_out=np.arange(len(vectors)), encounter=encounter)
    for query in range(len(vectors)):
        kept = [
            at for at in range(len(vectors)) if at == query or encounter[at] < 0 or encounter[at] != encounter[query]
        ]
        every = slow_candidates(vectors[kept], individual[kept], kept.index(query))
        places = [at for at, (_, _, person) in enumerate(every, 1) if person == individual[query] >= 0]
        assert found.rank[query] == (places[0] if places else 0)


def test_equal_similarities_count_against_the_query() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]], np.float32)
    gallery = retrieval.gallery_of(vectors, np.array([0, 0, 1]))
    assert retrieval.ranks(gallery, vectors[:1], np.array([0]), leave_out=np.array([0])).rank.tolist() == [2]


def test_accuracy_by_hand() -> None:
    found = retrieval.accuracy(np.array([1, 2, 5, 6, 0]))
    assert found.queries == 4
    assert (found.top1.value, found.top5.value) == (0.25, 0.75)
    assert found.map5.value == pytest.approx((1 + 0.5 + 0.2) / 4)
    assert math.isnan(retrieval.accuracy(np.array([0])).top1.value)


def test_an_encounter_leak_is_found_and_its_twin_has_none() -> None:
    """Vectors of the encounter alone, or of the individual alone: 30 individuals in two encounters of three images."""
    rng = np.random.default_rng(0)
    individual, encounter = np.repeat(np.arange(30), 6), np.repeat(np.arange(60), 3)
    water, animal = rng.normal(size=(60, 32)), rng.normal(size=(30, 32))
    noise = 0.05 * rng.normal(size=(180, 32))
    leaky = retrieval.encounter_leak(retrieval.unit(water[encounter] + noise), individual, encounter)
    sound = retrieval.encounter_leak(retrieval.unit(animal[individual] + noise), individual, encounter)
    assert leaky.random.top1.value == 1 and leaky.without_encounter.top1.value < 0.2
    assert sound.with_encounter.top1.value == 1 and sound.drop == 0
    # Images of the encounter are left to the placebo, and they are all that the leaky one has.
    assert leaky.drop > 0.8 and leaky.placebo.queries == 180


def test_new_individuals_are_told_by_their_similarity() -> None:
    known, new = np.array([0.9, 0.5, 0.4], np.float32), np.array([0.4, 0.1], np.float32)
    by_hand = sum((k > n) + 0.5 * (k == n) for k in known for n in new) / 6
    assert retrieval.new_individual(known, new) == pytest.approx(by_hand)
    assert math.isnan(retrieval.new_individual(known, new[:0]))


rows = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("12345 ")), min_size=2, max_size=40)


@given(rows, st.sampled_from(("closed", "open", "disjoint")), st.integers(0, 5))
def test_no_encounter_is_on_both_sides(pairs: list[tuple[str, str]], kind: str, seed: int) -> None:
    who = [person for person, _ in pairs]
    when = [encounter.strip() for _, encounter in pairs]
    try:
        part = encounter_split(who, when, kind, share=0.3, seed=seed).part
    except DatasetError as error:
        assert "No individual is seen" in str(error)
        return
    sides: dict[str, set[bool]] = {}
    for encounter, side in zip(when, part.tolist(), strict=True):
        if encounter:
            sides.setdefault(encounter, set()).add(side == TRAIN)
    assert all(len(side) == 1 for side in sides.values())
    trained = {person for person, side in zip(who, part.tolist(), strict=True) if side == TRAIN}
    for person, side in zip(who, part.tolist(), strict=True):
        assert side != QUERY or person in trained
        assert side != NEW or person not in trained
    assert kind != "closed" or set(part) <= {TRAIN, QUERY}
    assert kind != "disjoint" or set(part) <= {TRAIN, NEW, LEFT_OUT}


def test_individuals_seen_once_cannot_be_looked_up() -> None:
    with pytest.raises(DatasetError, match="two encounters"):
        encounter_split(["a", "b"], ["1", "2"])
    with pytest.raises(DatasetError, match="closed, open, disjoint"):
        encounter_split(["a", "b"], ["1", "2"], "half")


def test_encounters_of_columns_together() -> None:
    frame = pd.DataFrame(
        {
            "image": ["a.jpg", "b.jpg", "c.jpg", "d.jpg"],
            "species": "orca",
            "individual_id": ["x", "x", "y", "y"],
            "date": ["2020-05-01", "2020-05-01", "2020-05-02", ""],
            "camera": ["1", "2", "1", ""],
        }
    )
    data = of_frame(frame, None)
    assert encounters_of(data, ("day",)) == ["2020-05-01", "2020-05-01", "2020-05-02", ""]
    assert encounters_of(data, ("day", "camera")) == ["2020-05-01 · 1", "2020-05-01 · 2", "2020-05-02 · 1", ""]
    assert encounters_of(data, ()) == [""] * 4
    with pytest.raises(DatasetError, match="no group 'place'"):
        encounters_of(data, ("place",))
