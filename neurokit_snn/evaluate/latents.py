"""Estimated latents beside known ones: alignment, R2 of each latent and leakage between blocks.

Latents are known up to a linear map only, so an estimate is mapped onto the truth before it is scored. The map is
fitted on training trials; fitted on the trials that are scored it would count its own flexibility as accuracy.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
import xarray as xr
from scipy.linalg import orthogonal_procrustes

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate.lined_up import check_lined_up
from neurokit_snn.evaluate.scored import ratio

__all__ = ["LatentAlignment", "align_latents", "latent_leakage", "latent_r2"]

Method = Literal["affine", "procrustes"]
METHODS = ("affine", "procrustes")
LEAST_RELIABILITY = 0.01
"""Share of a latent's variance that its posterior mean has to carry for the latent to enter a map."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatentAlignment:
    """A linear map from estimated latents onto the true ones, as `align_latents` fits it.

    Parameters
    ----------
    method
        ``"affine"`` or ``"procrustes"``.
    matrix
        Weights (true_latent, latent); 0 between blocks that were kept apart.
    offset
        What is added (true_latent,), in the units of the truth.
    """

    method: Method
    matrix: xr.DataArray
    offset: xr.DataArray

    def apply(self, latents: xr.DataArray) -> xr.DataArray:
        """Map latents of any trials, or draws of them, onto the truth.

        The band of an aligned latent comes from its draws: map them and take quantiles.

        Parameters
        ----------
        latents
            Dims (..., latent), such as (draw, trial, time, latent), with the latents that the map was fitted to.

        Returns
        -------
        DataArray
            The same dims, with the labels and blocks of the truth along ``latent``.

        Raises
        ------
        EvaluationError
            When the latents are not those of the fit.
        """
        _check_dim(latents, "latents")
        ours, theirs = self.matrix["latent"].values.tolist(), _labels(latents)
        if len(ours) != len(theirs) or set(ours) != set(theirs):
            raise EvaluationError(
                f"latents are {theirs}, but the alignment was fitted to {ours}; pass the same model's"
            )
        values = latents.transpose(..., "latent").values[..., [theirs.index(name) for name in ours]]
        mapped = values @ self.matrix.values.T + self.offset.values
        dims = [str(dim) for dim in latents.dims if dim != "latent"]
        kept = {name: c.variable for name, c in latents.coords.items() if "latent" not in c.dims}
        true = {"latent": ("latent", self.matrix["true_latent"].values)}
        if "true_block" in self.matrix.coords:
            true["block"] = ("latent", self.matrix["true_block"].values)
        aligned = xr.DataArray(mapped, dims=[*dims, "latent"], coords=kept | true, name=latents.name)
        return aligned.transpose(*latents.dims)


def align_latents(
    latents: xr.DataArray,
    truth: xr.DataArray,
    *,
    method: Method = "affine",
    blocks: bool = True,
    mask: xr.DataArray | None = None,
    sd: xr.DataArray | None = None,
) -> LatentAlignment:
    """Fit, by least squares on training trials, the map of estimated latents onto the true ones.

    Parameters
    ----------
    latents
        Estimates (trial, time, latent), with the coordinate ``block (latent)``; of draws (draw, ...), their mean is used.
    truth
        True latents (trial, time, latent) with labels of their own and, where ``blocks``, their ``block``. A behaviour
        (trial, time, latent) will do where no latents are known.
    method
        ``"affine"``: any linear map and an offset. ``"procrustes"``: a rotation or reflection, one scale and an offset
        (Schönemann 1966, Psychometrika 31:1, with the scale of Schönemann & Carroll 1970), which cannot hide that one
        latent stands for two; it needs as many estimated latents as true ones.
    blocks
        Map each true latent from the estimated latents of its own block only; False: from all of them, as for a model
        that has other blocks than the truth.
    mask
        Which samples count, bool (trial, time); all by default.
    sd
        Posterior sd (trial, time, latent). A latent whose posterior mean carries under 1% of its variance has been pruned:
        its weight is 0, as one fitted to so little would blow up its draws.

    Returns
    -------
    LatentAlignment

    Raises
    ------
    EvaluationError
        When the trials or times differ, a block is missing, a value is not finite, or there are no samples.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> names = {"latent": ["shared 0", "neural 0"], "block": ("latent", ["shared", "neural"])}
    >>> truth = xr.DataArray(rng.normal(size=(9, 20, 2)), dims=("trial", "time", "latent"), coords=names)
    >>> train, test = np.arange(6), np.arange(6, 9)
    >>> alignment = align_latents(-2.0 * truth.isel(trial=train) + 1.0, truth.isel(trial=train))
    >>> float(alignment.matrix.sel(true_latent="shared 0", latent="shared 0"))
    -0.5
    >>> aligned = alignment.apply(-2.0 * truth.isel(trial=test) + 1.0)
    >>> latent_r2(aligned, truth.isel(trial=test)).groupby("block").mean().to_series().round(3).to_dict()
    {'neural': 1.0, 'shared': 1.0}
    """
    if method not in METHODS:
        raise EvaluationError(f"method={method!r} is unknown; choose from {', '.join(METHODS)}")
    latents = _mean_over_draws(latents)
    estimated, true = _samples(latents, truth, mask)
    matrix, offset = np.zeros((true.shape[1], estimated.shape[1])), np.zeros(true.shape[1])
    informative = _informative(estimated, latents, sd, mask)
    for rows, columns in _pairs(latents, truth, blocks):
        columns = columns[informative[columns]]
        if method == "affine":
            weights, constant = _affine(estimated[:, columns], true[:, rows])
        else:
            weights, constant = _procrustes(estimated[:, columns], true[:, rows])
        matrix[np.ix_(rows, columns)], offset[rows] = weights, constant
    coords: dict[str, Any] = {"true_latent": _labels(truth), "latent": _labels(latents)}
    for name, array, dim in (("block", latents, "latent"), ("true_block", truth, "true_latent")):
        if "block" in array.coords:
            coords[name] = (dim, array["block"].values)
    weight = xr.DataArray(matrix, dims=("true_latent", "latent"), coords=coords, name="weight")
    constants = xr.DataArray(offset, coords=weight["true_latent"].coords, dims="true_latent", name="offset")
    return LatentAlignment(method=method, matrix=weight, offset=constants)


def latent_r2(
    aligned: xr.DataArray, truth: xr.DataArray, *, mask: xr.DataArray | None = None
) -> xr.DataArray:
    """Share of the variance of each true latent that its aligned estimate explains, over trials and times together.

    Parameters
    ----------
    aligned
        What `LatentAlignment.apply` gave for held-out trials, (trial, time, latent); of draws, their mean is scored.
    truth
        True latents (trial, time, latent) of the same labels.
    mask
        Which samples count, bool (trial, time); all by default.

    Returns
    -------
    DataArray, (latent,)
        1 minus squared error over variance around the mean of the scored samples; NaN where a true latent is constant.
        ``.groupby("block").mean()`` gives one number for each block.

    Raises
    ------
    EvaluationError
        As for `align_latents`, or when the labels differ.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> truth = xr.DataArray([[[0.0], [2.0]]], dims=("trial", "time", "latent"), coords={"latent": ["shared 0"]})
    >>> latent_r2(truth + 0.5, truth).values
    array([0.75])
    """
    _check_dim(aligned, "aligned")
    _check_dim(truth, "truth")
    ours, theirs = _labels(aligned), _labels(truth)
    if len(ours) != len(theirs) or set(ours) != set(theirs):
        raise EvaluationError(
            f"aligned holds the latents {ours} and truth {theirs}; align them with align_latents"
        )
    aligned = aligned.transpose(..., "latent")[..., [ours.index(name) for name in theirs]]
    estimated, true = _samples(_mean_over_draws(aligned), truth, mask)
    named = {name: c for name, c in truth.coords.items() if c.dims == ("latent",)}
    return xr.DataArray(_r2(estimated, true), dims="latent", coords={"latent": theirs} | named, name="r2")


def latent_leakage(
    latents: xr.DataArray,
    truth: xr.DataArray,
    test_latents: xr.DataArray,
    test_truth: xr.DataArray,
    *,
    mask: xr.DataArray | None = None,
    test_mask: xr.DataArray | None = None,
) -> xr.DataArray:
    """How well the estimated latents of one block predict the true latents of each block on test trials.

    A private block that predicts the truth of another block has taken what is not its own: the entries off the
    diagonal are the leak, and about 0, or a little below it by chance, where there is none.

    Parameters
    ----------
    latents, truth
        Estimates and truth of training trials, (trial, time, latent), both with the coordinate ``block (latent)``; of
        draws, the mean.
    test_latents, test_truth
        The same of test trials.
    mask, test_mask
        Which samples count, bool (trial, time); all by default.

    Returns
    -------
    DataArray, (block, true_block)
        R2 on test trials of an affine map from all estimated latents of ``block``, fitted on training trials, averaged
        over the true latents of ``true_block``.

    Raises
    ------
    EvaluationError
        As for `align_latents`, or when there are no blocks.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> names = {"latent": ["neural 0", "shared 0"], "block": ("latent", ["neural", "shared"])}
    >>> z = xr.DataArray(rng.normal(size=(40, 20, 2)), dims=("trial", "time", "latent"), coords=names)
    >>> train, test = z.isel(trial=slice(0, 30)), z.isel(trial=slice(30, None))
    >>> leak = latent_leakage(train, train, test, test)
    >>> abs(float(leak.sel(block="neural", true_block="shared"))) < 0.02
    True
    """
    latents, test_latents = _mean_over_draws(latents), _mean_over_draws(test_latents)
    names, true_names = _blocks(latents, "latents"), _blocks(truth, "truth")
    values = np.empty((len(names), len(true_names)))
    for row, name in enumerate(names):
        _blocks(test_latents, "test_latents", has=name)
        source = _of_block(latents, name)
        alignment = align_latents(source, truth, blocks=False, mask=mask)
        r2 = latent_r2(alignment.apply(_of_block(test_latents, name)), test_truth, mask=test_mask)
        values[row] = [float(_of_block(r2, true).mean()) for true in true_names]
    coords = {"block": names, "true_block": true_names}
    return xr.DataArray(values, dims=("block", "true_block"), coords=coords, name="r2")


# ---- maps
# -----------------------------------------------------------------------------------------------------


def _affine(estimated: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (true, estimated) and offset of the least-squares map, the smallest one where several fit alike."""
    centre, true_centre = estimated.mean(axis=0), true.mean(axis=0)
    weights = np.linalg.lstsq(estimated - centre, true - true_centre, rcond=None)[0].T
    return weights, true_centre - weights @ centre


def _procrustes(estimated: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``scale * rotation.T`` and offset that bring the estimates nearest to the truth."""
    if estimated.shape[1] != true.shape[1]:
        raise EvaluationError(
            f"method='procrustes' turns as many latents as there are true ones, here {estimated.shape[1]} "
            f"informative ones onto {true.shape[1]}; use method='affine'"
        )
    centre, true_centre = estimated.mean(axis=0), true.mean(axis=0)
    rotation, singular = orthogonal_procrustes(estimated - centre, true - true_centre)
    weights = rotation.T * float(ratio(singular, ((estimated - centre) ** 2).sum()))
    return weights, true_centre - weights @ centre


def _r2(estimated: np.ndarray, true: np.ndarray) -> np.ndarray:
    return 1.0 - ratio(((true - estimated) ** 2).sum(axis=0), ((true - true.mean(axis=0)) ** 2).sum(axis=0))


def _informative(
    estimated: np.ndarray, latents: xr.DataArray, sd: xr.DataArray | None, mask: xr.DataArray | None
) -> np.ndarray:
    """Which estimated latents, (latent,), have a posterior mean that moves with the data."""
    if sd is None:
        return np.ones(estimated.shape[1], dtype=bool)
    _check_dim(sd, "sd")
    if _labels(sd) != _labels(latents):
        raise EvaluationError(
            f"sd holds the latents {_labels(sd)}, latents {_labels(latents)}; pass those of one fit"
        )
    spread = (_samples(latents, sd, mask)[1] ** 2).mean(axis=0)
    signal = estimated.var(axis=0)
    return signal > LEAST_RELIABILITY * (signal + spread)


# ---- blocks and samples
# ---------------------------------------------------------------------------------------


def _pairs(latents: xr.DataArray, truth: xr.DataArray, blocks: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Indices of true latents with those of the estimated latents that they are mapped from."""
    if not blocks:
        return [(np.arange(truth.sizes["latent"]), np.arange(latents.sizes["latent"]))]
    pairs = []
    for name in _blocks(truth, "truth"):
        _blocks(latents, "latents", has=name)
        pairs.append(
            (np.flatnonzero(truth["block"].values == name), np.flatnonzero(latents["block"].values == name))
        )
    return pairs


def _blocks(latents: xr.DataArray, what: str, *, has: str | None = None) -> list[str]:
    """Names of the blocks in their order; an error where there are none, or not the one that is needed."""
    if "block" not in latents.coords or latents["block"].dims != ("latent",):
        raise EvaluationError(
            f"{what} has no coordinate block (latent); give it one, or align with blocks=False"
        )
    names = list(dict.fromkeys(latents["block"].values.tolist()))
    if has is not None and has not in names:
        raise EvaluationError(
            f"{what} has no latent of block {has!r}, only {', '.join(map(str, names))}; align with blocks=False"
        )
    return names


def _of_block(latents: xr.DataArray, name: str) -> xr.DataArray:
    return latents.isel(latent=np.flatnonzero(latents["block"].values == name))


def _labels(latents: xr.DataArray) -> list[object]:
    return list(latents["latent"].values.tolist())


def _check_dim(latents: xr.DataArray, what: str) -> None:
    if "latent" not in latents.dims:
        raise EvaluationError(
            f"{what} has dims {latents.dims}, which lack 'latent'; pass (trial, time, latent)"
        )


def _mean_over_draws(latents: xr.DataArray) -> xr.DataArray:
    return latents.mean("draw", keep_attrs=True) if "draw" in latents.dims else latents


def _samples(
    latents: xr.DataArray, truth: xr.DataArray, mask: xr.DataArray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Valid samples of both, (sample, latent), after a check that they are of the same trials and times."""
    for what, array in (("latents", latents), ("truth", truth)):
        _check_dim(array, what)
        if set(array.dims) != {"trial", "time", "latent"}:
            raise EvaluationError(f"{what} has dims {array.dims}; pass (trial, time, latent)")
    check_lined_up(latents, truth, ("trial", "time"), names=("latents", "truth"))
    shape = (latents.sizes["trial"], latents.sizes["time"])
    valid = np.ones(shape, dtype=bool)
    if mask is not None:
        if set(mask.dims) != {"trial", "time"} or mask.dtype != bool:
            raise EvaluationError(f"mask is {mask.dtype} over {mask.dims}; pass bool (trial, time)")
        check_lined_up(latents, mask, ("trial", "time"), names=("latents", "mask"))
        valid = mask.transpose("trial", "time").values
    if not valid.any():
        raise EvaluationError("no sample is valid; mask is False everywhere")
    found = []
    for what, array in (("latents", latents), ("truth", truth)):
        values = array.transpose("trial", "time", "latent").values.astype(np.float64)
        wrong = np.argwhere(~np.isfinite(values) & valid[..., None])
        if wrong.size:
            trial, time, latent = wrong[0].tolist()
            raise EvaluationError(
                f"{what} is {values[trial, time, latent]} at trial {trial}, time {time}, latent "
                f"{_labels(array)[latent]!r}; mask such samples"
            )
        found.append(values[valid])
    return found[0], found[1]
