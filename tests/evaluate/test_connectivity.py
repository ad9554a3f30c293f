"""Scores of an estimated connectivity, counted by hand, and what must not move them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate import connectivity_scores

UNITS = np.array([3, 5, 8, 9])
# Rows are targets: 5 drives 3, 8 and 9; 3 drives 8, and 8 drives 3 back.
TRUE = np.array([[0.0, 1.8, 1.8, 0.0], [0.0, 0.0, 0.0, 0.0], [1.8, 1.8, 0.0, 0.0], [0.0, 1.8, 0.0, 0.0]])


def _matrix(values: np.ndarray, units: np.ndarray | None = None) -> xr.DataArray:
    labels = {} if units is None else {"target": units, "source": units}
    return xr.DataArray(values, dims=("target", "source"), coords=labels)


def _hubs(rng: np.random.Generator, n_units: int = 30, n_hubs: int = 3) -> np.ndarray:
    true = np.zeros((n_units, n_units))
    for hub in range(n_hubs):
        true[rng.choice(np.arange(n_hubs, n_units), n_units // 2, replace=False), hub] = 1.8
    return true


def test_hand_counted_scores():
    estimate = np.array(
        [[9.0, 0.5, 0.4, 0.05], [0.1, 9.0, 0.2, 0.3], [0.7, 0.15, 9.0, 0.0], [0.25, 0.6, 0.35, 9.0]]
    )
    found = connectivity_scores(_matrix(estimate, UNITS), _matrix(TRUE, UNITS))
    # Connected: .5 .4 .7 .15 .6; not: .05 .1 .2 .3 0 .25 .35. Of 35 pairs, .15 loses to .2 .3 .25 .35.
    assert found["auc"] == pytest.approx(31 / 35)
    # One way: 5 to 3 (.5 > .1), 5 to 8 (.15 < .2), 5 to 9 (.6 > .3). 3 and 8 drive each other and do not count.
    assert found["direction"] == pytest.approx(2 / 3)
    assert found["connections"] == 5
    # Only 5 has at least half of the most targets, three; column means are .35, .417, .317 and .117.
    assert (int(found["hubs"]), int(found["hubs_found"])) == (1, 1)
    assert np.isnan(found["sign"])


def test_column_standardising_is_that_of_the_definition():
    rng = np.random.default_rng(0)
    estimate = rng.random((4, 4)) + np.array([0.0, 5.0, 1.0, 2.0])
    found = connectivity_scores(_matrix(estimate), _matrix(TRUE))["column_auc"]
    positive, negative = [], []
    for source in range(4):
        others = np.arange(4) != source
        column = estimate[others, source]
        scores = (column - column.mean()) / column.std()
        connected = TRUE[others, source] != 0
        positive += scores[connected].tolist()
        negative += scores[~connected].tolist()
    wins = np.subtract.outer(positive, negative)
    assert found == pytest.approx(((wins > 0) + 0.5 * (wins == 0)).mean())


def test_standardised_columns_forget_which_units_are_hubs():
    rng = np.random.default_rng(1)
    true = _hubs(rng)
    hub_detector = np.where(true.any(0), 1.0, 0.0) + 0.01 * rng.random(true.shape)
    found = connectivity_scores(_matrix(hub_detector), _matrix(true))
    assert found["auc"] > 0.9
    assert 0.35 < found["column_auc"] < 0.65
    assert found["hubs_found"] == found["hubs"] == 3
    known = connectivity_scores(_matrix(true + 0.01 * rng.random(true.shape)), _matrix(true))
    assert known["auc"] == 1.0
    assert 0.75 < known["column_auc"] < 0.95  # the ceiling that the docstring speaks of


def test_scale_sign_of_all_and_diagonal_do_not_matter():
    rng = np.random.default_rng(2)
    true, estimate = _hubs(rng), rng.normal(size=(30, 30))
    expected = connectivity_scores(_matrix(estimate), _matrix(true))
    other = -7.0 * estimate
    np.fill_diagonal(other, np.nan)
    diagonal = true + np.diag(np.full(30, 5.0))
    xr.testing.assert_allclose(connectivity_scores(_matrix(other), _matrix(diagonal)), expected)


def test_columns_of_one_value_have_no_scale():
    estimate = np.array(
        [[0.0, 0.5, 0.3, 0.1], [0.3, 0.0, 0.3, 0.1], [0.3, 0.5, 0.0, 0.1], [0.3, 0.5, 0.3, 0.0]]
    )
    assert connectivity_scores(_matrix(estimate), _matrix(TRUE))["column_auc"] == 0.5


def test_ties_count_against_the_estimate():
    found = connectivity_scores(_matrix(np.ones((4, 4))), _matrix(TRUE))
    assert found["auc"] == 0.5
    assert found["direction"] == 0.0
    assert found["hubs_found"] == 0


def test_signs_are_scored_where_there_are_two():
    true = TRUE.copy()
    true[2, 0] = -3.0
    estimate = np.where(true == 0, 0.1, true)
    assert connectivity_scores(_matrix(estimate), _matrix(true))["sign"] == 1.0
    wrong = estimate.copy()
    wrong[2, 0] = 3.0
    wrong[3, 1] = 0.0
    assert connectivity_scores(_matrix(wrong), _matrix(true))["sign"] == pytest.approx(3 / 5)


def test_how_many_hubs_may_be_said():
    estimate = np.zeros((4, 4))
    estimate[:, 2], estimate[:, 1], estimate[:, 3] = 3.0, 2.0, 1.0
    found = [
        connectivity_scores(_matrix(estimate), _matrix(TRUE), hubs=k)["hubs_found"] for k in (1, 2, 3, 4)
    ]
    assert [int(k) for k in found] == [0, 2, 2, 3]  # 9 drives nobody; 3 comes last


def test_pairs_that_could_not_be_judged_are_no_connection():
    estimate = np.where(TRUE == 0, 0.1, TRUE)
    estimate[3, 1] = np.nan
    filled = np.where(np.isnan(estimate), 0.0, estimate)
    xr.testing.assert_identical(
        connectivity_scores(_matrix(estimate), _matrix(TRUE)),
        connectivity_scores(_matrix(filled), _matrix(TRUE)),
    )
    assert connectivity_scores(_matrix(estimate), _matrix(TRUE))["auc"] == pytest.approx(0.8)


def test_without_connections_there_is_nothing_to_score():
    found = connectivity_scores(_matrix(np.ones((4, 4))), _matrix(np.zeros((4, 4))))
    assert all(np.isnan(found[name]) for name in ("auc", "column_auc", "direction", "sign"))
    assert [int(found[name]) for name in ("hubs_found", "hubs", "connections")] == [0, 0, 0]
    every = connectivity_scores(_matrix(np.ones((4, 4))), _matrix(np.ones((4, 4))))
    assert np.isnan(every["auc"])
    assert np.isnan(every["direction"]), "all are mutual"


def test_dims_may_come_in_any_order():
    rng = np.random.default_rng(3)
    estimate, true = _matrix(rng.normal(size=(4, 4)), UNITS), _matrix(TRUE, UNITS)
    expected = connectivity_scores(estimate, true)
    xr.testing.assert_identical(connectivity_scores(estimate.T, true), expected)
    xr.testing.assert_identical(connectivity_scores(estimate, true.T), expected)


def test_what_does_not_fit_is_named():
    true = _matrix(TRUE, UNITS)
    with pytest.raises(
        EvaluationError, match=r"estimate has dims \('unit', 'source'\); pass \(target, source\)"
    ):
        connectivity_scores(true.rename(target="unit"), true)
    with pytest.raises(EvaluationError, match="target 0 of estimate is 9, of truth 3"):
        connectivity_scores(true[::-1], true)
    with pytest.raises(EvaluationError, match="3 targets and 4 sources; pass the same"):
        connectivity_scores(true[:3], true[:3])
    with pytest.raises(EvaluationError, match="unit 0 of truth is 9 as a target and 3 as a source"):
        connectivity_scores(true[::-1], true[::-1])
    with pytest.raises(EvaluationError, match="1 targets and 1 sources; pass the same two"):
        connectivity_scores(true[:1, :1], true[:1, :1])
    with pytest.raises(EvaluationError, match="truth at target 2, source 0 is nan; give 0"):
        connectivity_scores(true, true.where((true["target"] != 8) | (true["source"] != 3)))
    with pytest.raises(EvaluationError, match="estimate at target 0, source 1 is inf"):
        connectivity_scores(true.where((true["target"] != 3) | (true["source"] != 5), np.inf), true)
    with pytest.raises(EvaluationError, match="hubs is 5; give 1 to 4"):
        connectivity_scores(true, true, hubs=5)
