"""The benchmark of asking in rounds: who is asked again, and what it counts."""

import numpy as np
import pandas as pd

from benchmarks.rounds import ALWAYS, BOTH, DONORS, EXPLANATION, FIRST, assessed, exchanges_of


def rows_of(others: list[list[float]], own: float = 0.9, before: float = 0.9) -> pd.DataFrame:
    """Rows of one network: the probability on each donor's background of the other label."""
    columns = {f"other_{donor}": [row[donor] for row in others] for donor in range(DONORS)}
    columns |= {f"own_{donor}": [own] * len(others) for donor in range(DONORS)}
    columns |= {f"own_unit_{donor}": [donor] * len(others) for donor in range(DONORS)}
    columns |= {f"other_unit_{donor}": [DONORS + donor] * len(others) for donor in range(DONORS)}
    return pd.DataFrame(columns).assign(before=before, predicted=0)


def test_only_an_image_whose_prediction_drops_in_the_first_round_is_asked_again() -> None:
    stays, moves = [0.9, 0.9, 0.9, 0.1, 0.1, 0.1], [0.7, 0.7, 0.7, 0.1, 0.1, 0.1]
    asked = exchanges_of(rows_of([stays, moves]), FIRST, BOTH)
    np.testing.assert_allclose(asked.drop, [0.0, 0.5])
    assert (~np.isnan(asked.other)).sum(axis=1).tolist() == [3, 6]
    assert (~np.isnan(asked.own)).sum(axis=1).tolist() == [1, 2]
    at_once = exchanges_of(rows_of([stays, moves]), BOTH)
    np.testing.assert_allclose(at_once.drop, [0.4, 0.5])


def test_passes_are_what_is_always_asked_the_donors_and_the_explanation_of_a_drop() -> None:
    rows = rows_of([[0.9] * DONORS, [0.7] * DONORS, [0.1] * DONORS])
    passes = assessed(rows, FIRST, BOTH)
    assert (passes["asked"] + passes["explain"]).tolist() == [ALWAYS + 4, ALWAYS + 8, ALWAYS + 8 + EXPLANATION]
