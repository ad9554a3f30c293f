"""What a fit fixes before it starts: sizes, likelihoods, prior; and the arrays that it learns from."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from neurokit_snn.models.mmgpvae.behavior import Channel
from neurokit_snn.models.mmgpvae.fourier import FourierBasis, Kernel, log_spectrum
from neurokit_snn.models.mmgpvae.neural import AbstractNeural
from neurokit_snn.models.mmgpvae.span import span_of, spanned

__all__ = ["Batch", "Design", "Fusion", "Params", "Posterior", "fourier_root", "length_scales", "root_of"]

Params = dict[str, Any]
Posterior = Literal["smoother", "fourier", "time"]
Fusion = Literal["precision", "mean"]


class Batch(NamedTuple):
    """Trials as arrays; masks are 1.0 where valid, and what is not valid is 0.

    ``neural (trial, time, unit)`` with ``neural_mask``; ``behavior[name] (trial, time, feature)`` with
    ``behavior_mask[name] (trial, time)``.
    """

    neural: Array
    neural_mask: Array
    behavior: dict[str, Array]
    behavior_mask: dict[str, Array]

    @property
    def n_trials(self) -> int:
        """Trials in the batch."""
        return int(self.neural.shape[0])

    def take(self, trials: Any) -> Batch:
        """The trials of those indices."""
        return jax.tree.map(lambda values: values[trials], self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Design:
    """Everything of a fit that is not learned; equal designs share their compiled code.

    Parameters
    ----------
    neural, shared, behavior
        Latents of each block, in this order along every latent axis. Neural data read the first two blocks, behaviour
        the last two.
    likelihood
        Of neural data.
    n_units
        Units of neural data.
    channels
        Behaviours and images.
    kernel, basis
        Prior of each latent.
    shortest, longest
        Bounds of the length scales, bins.
    posterior
        ``smoother``: the exact Gaussian smoother of per-bin factors. ``fourier``: independent coefficients, as published.
        ``time``: independent bins, the standard GP-VAE.
    fusion
        How two modalities make one posterior of a shared latent.
    closed_form
        Whether the expected neural log likelihood is taken in closed form or by quadrature, or from the sampled path.
    hidden
        Widths of the hidden layers of encoders and decoders.
    """

    neural: int
    shared: int
    behavior: int
    likelihood: AbstractNeural
    n_units: int
    channels: tuple[Channel, ...]
    kernel: Kernel
    basis: FourierBasis
    shortest: float
    longest: float
    posterior: Posterior
    fusion: Fusion
    closed_form: bool
    hidden: tuple[int, ...]

    @property
    def n_latents(self) -> int:
        """P, latents of all blocks."""
        return self.neural + self.shared + self.behavior

    @property
    def of_neural(self) -> slice:
        """Latents that neural data read."""
        return slice(0, self.neural + self.shared)

    @property
    def of_behavior(self) -> slice:
        """Latents that behaviour reads."""
        return slice(self.neural, self.n_latents)

    @property
    def reads_neural(self) -> bool:
        """Whether neural data are modelled at all."""
        return self.neural + self.shared > 0 and self.n_units > 0

    def labels(self) -> tuple[list[str], list[str]]:
        """Label and block of each latent."""
        blocks = [
            name
            for name, size in (("neural", self.neural), ("shared", self.shared), ("behavior", self.behavior))
            for _ in range(size)
        ]
        seen: dict[str, int] = {}
        labels = []
        for block in blocks:
            labels.append(f"{block} {seen.get(block, 0)}")
            seen[block] = seen.get(block, 0) + 1
        return labels, blocks

    def over(self, n_bins: int) -> Design:
        """The same design for trials of another length."""
        if n_bins == self.basis.n_bins:
            return self
        period = self.basis.period + n_bins - self.basis.n_bins
        highest = int(np.ceil(self.basis.highest * period / self.basis.period))
        if self.kernel == "white":
            period, highest = n_bins, n_bins // 2
        basis = FourierBasis(n_bins=n_bins, period=period, highest=min(highest, period // 2))
        return dataclasses.replace(self, basis=basis)


def length_scales(design: Design, params: Params) -> Array:
    """Length scale of each latent in bins, ``(latent,)``: between the bounds, whatever the optimiser does."""
    share = jax.nn.sigmoid(params["kernel"])
    return design.shortest * (design.longest / design.shortest) ** share


def fourier_root(design: Design, params: Params) -> Array:
    """``diag(sqrt(s)) B`` of each latent, ``(latent, row, time)``: whitened Fourier coefficients to paths."""
    scales = length_scales(design, params)
    if design.kernel == "white":
        eye = jnp.eye(design.basis.n_bins, dtype=scales.dtype)
        return jnp.broadcast_to(eye, (design.n_latents, *eye.shape))
    amplitude = jnp.exp(0.5 * log_spectrum(design.kernel, design.basis.frequencies, scales))
    return amplitude[:, :, None] * jnp.asarray(design.basis.matrix(), scales.dtype)


def root_of(design: Design, params: Params) -> Array:
    """G, ``(latent, dimension, time)``: the whitened coefficients that the posterior is over, to paths.

    The published guide is over Fourier coefficients; the smoother is over those of the `span`, where they are fewer.
    """
    root = fourier_root(design, params)
    if design.posterior != "smoother" or design.kernel == "white":
        return root
    span = span_of(design.basis, design.kernel, design.shortest)
    return spanned(root, span) if span.shape[1] < root.shape[1] else root
