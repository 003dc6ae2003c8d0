"""How long a training may take, by those that were timed."""

from pathlib import Path

import pytest

from tests.individuals import run_of
from whalecam.analysis.training_pace import Pace, pace_of, pace_sentence
from whalecam.store.run import Run
from whalecam.text import duration

ROWS = [{"epoch": 0, "seconds": 90.0}, *({"epoch": at, "seconds": at * 10.0} for at in (1, 2, 3))]


def trained(folder: Path, **metrics: object) -> Run:
    run = run_of(folder, folder.parent / "train.csv")
    run.update(network={"arch": "resnet18", "size": 128})
    run.save_metrics(metrics)
    return run


def test_an_epoch_takes_its_median_without_the_frozen_one(tmp_path: Path) -> None:
    run = trained(tmp_path / "first", epochs=ROWS, n_train=50)
    assert pace_of(run) == Pace("first", "resnet18", 128, 50, 20.0)


@pytest.mark.parametrize(
    "metrics", [{}, {"epochs": ROWS}, {"n_train": 50, "epochs": ROWS[:1]}, {"n_train": 50, "epochs": [{"epoch": 1}]}]
)
def test_what_was_not_timed_has_no_pace(tmp_path: Path, metrics: dict[str, object]) -> None:
    run = trained(tmp_path / "first", **metrics)
    assert pace_of(run) is None
    assert pace_sentence([run], 10).startswith("No training has been timed here yet.")


def test_the_first_run_that_was_timed_is_taken_for_as_many_images(tmp_path: Path) -> None:
    untimed, timed = trained(tmp_path / "untimed"), trained(tmp_path / "timed", epochs=ROWS, n_train=50)
    said = pace_sentence([untimed, timed], 1_500)
    assert "An epoch of resnet18 at 128 px took 20 s for 50 images in the run timed." in said
    assert "For the 1,500 images here that is about 10 min 0 s an epoch" in said


def test_durations() -> None:
    given = [0.2, 0.5, 0.51, 45, 59.6, 200, 3600, 7530]
    wanted = ["below 1 s", "below 1 s", "1 s", "45 s", "1 min 0 s", "3 min 20 s", "1 h 0 min", "2 h 5 min"]
    assert [duration(seconds) for seconds in given] == wanted
