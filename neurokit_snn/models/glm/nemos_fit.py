"""The fit of all weights of a GLM through nemos, in double precision, on a design made here."""

from __future__ import annotations

import warnings

import numpy as np

from neurokit_snn._extras import require
from neurokit_snn.models.poisson_regression import PoissonDesign, newton, observed_targets

__all__ = ["fit_population"]

TOLERANCE = 1e-4
MAX_STEPS = 500


def fit_population(
    design: PoissonDesign,
    counts: np.ndarray,
    valid: np.ndarray | None,
    *,
    strength: float,
    precision: np.ndarray,
    start: np.ndarray,
    who: str,
) -> np.ndarray:
    """Maximum of the penalised likelihood, by ``nemos.glm.PopulationGLM`` and a last polish.

    nemos' L-BFGS comes to within about 1e-3 of the maximum; the few Newton steps that follow bring the gradient to zero,
    which Laplace's approximation there asks for. Units that were observed in the same bins are fitted together; each sees
    only its own past through nemos' feature mask.

    Parameters
    ----------
    design, counts, valid, precision, start
        As in `poisson_regression.newton`.
    strength
        Precision of the prior of every weight but the intercept.
    who
        Who asks, for the message.

    Returns
    -------
    ndarray, (unit, feature)
    """
    targets = observed_targets(counts, valid)
    masks = np.ones(counts.shape, dtype=bool) if valid is None else valid
    _, group = np.unique(masks, axis=1, return_inverse=True)
    weights = start.copy()
    for index in range(int(group.max()) + 1):
        units = np.flatnonzero(group.ravel() == index)
        rows = np.flatnonzero(masks[:, units[0]])
        part = design.take(rows).take_units(units)
        weights[units] = _nemos(part, targets[np.ix_(rows, units)], strength, start[units])
    return newton(design, counts, valid, precision=precision, start=weights, who=who)


def _nemos(design: PoissonDesign, targets: np.ndarray, strength: float, start: np.ndarray) -> np.ndarray:
    """One call of nemos; weights ``(unit, feature)`` to and fro."""
    nemos, jax = require("nemos", extra="glm"), require("jax", extra="glm")
    n_rows, n_units = targets.shape
    n_shared = design.shared.shape[1]
    n_own = design.n_features - n_shared
    if design.n_features == 1:  # a constant rate has its maximum in closed form, and nemos wants a column
        return np.log(targets.mean(0))[:, None]
    columns, mask = design.shared[:, 1:], np.ones((n_shared - 1, n_units))
    coefficients = start[:, 1:n_shared].T
    if design.own is not None:
        columns = np.concatenate([columns, design.own.reshape(n_rows, -1)], axis=1)
        own = np.kron(np.eye(n_units), np.ones((n_own, 1)))  # (unit x own feature, unit)
        mask = np.concatenate([mask, own])
        coefficients = np.concatenate([coefficients, own * start[:, n_shared:].ravel()[:, None]])
    penalty = {"regularizer": "Ridge", "regularizer_strength": strength / n_rows} if strength > 0 else {}
    with jax.enable_x64(True), warnings.catch_warnings():
        # Stopping at MAX_STEPS is expected now and then, and harmless before the polish.
        warnings.filterwarnings("ignore", message="The fit did not converge", category=RuntimeWarning)
        model = nemos.glm.PopulationGLM(
            observation_model="Poisson",
            solver_name="LBFGS",
            solver_kwargs={"tol": TOLERANCE, "maxiter": MAX_STEPS},
            feature_mask=None if design.own is None else mask,
            **penalty,
        )
        model.fit(columns, targets, init_params=(coefficients, start[:, 0]))
        found, intercept = np.asarray(model.coef_), np.asarray(model.intercept_)
    weights = np.empty_like(start)
    weights[:, 0] = intercept
    weights[:, 1:n_shared] = found[: n_shared - 1].T
    if n_own:
        by_unit = found[n_shared - 1 :].reshape(n_units, n_own, n_units)
        weights[:, n_shared:] = by_unit[np.arange(n_units), :, np.arange(n_units)]
    return weights
