"""Per-bin multilayer perceptrons: encoders of modalities and decoders of behaviour."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

__all__ = ["Perceptron"]


class Perceptron(eqx.Module):
    """Linear layers with ELU between them, applied to the last axis (Gondur et al., ICLR 2024, use ELU throughout).

    Parameters
    ----------
    sizes
        Width of the input, of each hidden layer and of the output.
    rng
        Source of the initial weights: normal with variance 1 / inputs, biases 0.
    gain
        Factor on the weights of the last layer.
    """

    weights: list[Array]
    biases: list[Array]

    def __init__(self, sizes: Sequence[int], *, rng: np.random.Generator, gain: float = 1.0) -> None:
        pairs = list(itertools.pairwise(sizes))
        last = len(pairs) - 1
        made = [
            rng.standard_normal(pair) * ((gain if i == last else 1.0) / np.sqrt(pair[0]))
            for i, pair in enumerate(pairs)
        ]
        self.weights = [jnp.asarray(weight, jnp.float32) for weight in made]
        self.biases = [jnp.asarray(np.zeros(outputs), jnp.float32) for _, outputs in pairs]

    def __call__(self, values: Array) -> Array:
        """Map ``(..., input)`` to ``(..., output)``."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = jax.nn.elu(values @ weight + bias)
        return values @ self.weights[-1] + self.biases[-1]

    def plain(self, values: np.ndarray) -> np.ndarray:
        """The same in NumPy and float64: predictions do not depend on how many bins are asked for at once."""
        weights, biases = ([np.asarray(x, np.float64) for x in part] for part in (self.weights, self.biases))
        values = values.astype(np.float64)
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            values = values @ weight + bias
            values = np.where(values > 0, values, np.expm1(np.minimum(values, 0.0)))
        return np.asarray(values @ weights[-1] + biases[-1])
