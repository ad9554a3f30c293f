"""Per-bin multilayer perceptrons: encoders of modalities and decoders of behaviour."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

__all__ = ["Perceptron"]


class Perceptron(eqx.Module):
    """Linear layers with ELU between them, applied to the last axis (Gondur et al., ICLR 2024, use ELU throughout).

    Parameters
    ----------
    sizes
        Width of the input, of each hidden layer and of the output.
    key
        Source of the initial weights: normal with variance 1 / inputs, biases 0.
    gain
        Factor on the weights of the last layer.
    """

    weights: list[Array]
    biases: list[Array]

    def __init__(self, sizes: Sequence[int], *, key: Array, gain: float = 1.0) -> None:
        keys = jax.random.split(key, len(sizes) - 1)
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.weights = [jax.random.normal(k, pair) / jnp.sqrt(pair[0]) for k, pair in zip(keys, pairs, strict=True)]
        self.weights[-1] = self.weights[-1] * gain
        self.biases = [jnp.zeros(outputs) for _, outputs in pairs]

    def __call__(self, values: Array) -> Array:
        """Map ``(..., input)`` to ``(..., output)``."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = jax.nn.elu(values @ weight + bias)
        return values @ self.weights[-1] + self.biases[-1]
