"""Posterior of loadings and offsets: the Gaussian approximation at their fitted values, unit by unit."""

from __future__ import annotations

import dataclasses

import numpy as np
import xarray as xr

from neurokit_snn.models.mmgpvae.design import Batch, Design, Params
from neurokit_snn.models.mmgpvae.gaussian import Paths
from neurokit_snn.models.mmgpvae.inference import extras, predictor
from neurokit_snn.models.mmgpvae.prediction import Inferred
from neurokit_snn.models.mmgpvae.program import ARD_SCALE, ARD_SHAPE
from neurokit_snn.models.posterior import gaussian_draws

__all__ = ["Readout", "loading_posterior"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Readout:
    """Loadings and offset of each unit: ``mean (unit, latent + 1)``, ``covariance (unit, latent + 1, latent + 1)``."""

    mean: np.ndarray
    covariance: np.ndarray

    def draws(self, number: int, rng: np.random.Generator) -> np.ndarray:
        """Draws ``(draw, unit, latent + 1)``, the offset last."""
        return gaussian_draws(self.mean, self.covariance, draws=number, rng=rng)

    def repeated(self, number: int) -> np.ndarray:
        """The mean so many times, in the form of `draws`."""
        return np.broadcast_to(self.mean, (number, *self.mean.shape))

    def state(self) -> xr.Dataset:
        """As a dataset; see `from_state`."""
        return xr.Dataset(
            {
                "mean": (("unit", "weight"), self.mean),
                "covariance": (("unit", "weight", "weight_"), self.covariance),
            }
        )

    @classmethod
    def from_state(cls, stored: xr.Dataset) -> Readout:
        """The inverse of `state`."""
        return cls(mean=stored["mean"].values, covariance=stored["covariance"].values)


def loading_posterior(design: Design, params: Params, batch: Batch, found: Inferred) -> Readout:
    """Laplace approximation of each unit's weights given the posterior of the latents.

    The precision is ``sum_t h_t E[(z_t, 1)(z_t, 1)']`` with h the curvature of the expected log likelihood in the unit's linear
    predictor, plus that of the prior of the loadings at their fitted length.
    """
    if not design.reads_neural:
        return Readout(mean=np.zeros((0, 1)), covariance=np.zeros((0, 1, 1)))
    size = design.neural + design.shared
    paths = Paths(found.mean, found.covariance)
    mean, variance = predictor(params, paths)
    _, curvature = design.likelihood.slopes(batch.neural, mean, variance, extras(params))
    weights = (np.asarray(curvature, np.float64) * np.asarray(batch.neural_mask)).reshape(-1, design.n_units)
    latents = found.mean[..., :size].reshape(-1, size).astype(np.float64)
    second = np.zeros((len(latents), size + 1, size + 1))
    second[:, :size, :size] = found.covariance[..., :size, :size].reshape(-1, size, size)
    ones = np.concatenate([latents, np.ones((len(latents), 1))], axis=1)
    second += ones[:, :, None] * ones[:, None, :]
    precision = (weights.T @ second.reshape(len(latents), -1)).reshape(design.n_units, size + 1, size + 1)
    loading = np.asarray(params["loading"], np.float64)
    prior = (ARD_SHAPE + 0.5 * len(loading)) / (ARD_SCALE * len(loading) + 0.5 * np.square(loading).sum(0))
    precision += np.diag([*prior, 1e-3])
    fitted = np.concatenate([loading, np.asarray(params["offset"], np.float64)[:, None]], axis=1)
    return Readout(mean=fitted, covariance=np.linalg.inv(precision))
