"""Behaviour and images as the compiled model knows them: a name, a likelihood, so many features a bin."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import i0e

from neurokit_snn.models.modalities import Kind, Modality

__all__ = ["Channel", "channel_of", "log_density"]


class Channel(NamedTuple):
    """What the compiled model knows of a behaviour or stimulus: its name, its likelihood and the features of a bin."""

    name: str
    kind: Kind
    width: int


def channel_of(modality: Modality) -> Channel:
    """The modality without its values."""
    return Channel(modality.name, modality.kind, modality.width)


def log_density(channel: Channel, features: Array, output: Array, log_sd: Array | None) -> Array:
    """Log likelihood ``(..., )`` of each bin's features given the decoder's output; Gaussians in standardised units."""
    if channel.kind == "categorical":
        return jnp.sum(features * jax.nn.log_softmax(output), -1)
    if channel.kind == "circular":
        # exp(a cos x + b sin x) / (2 pi I0(|(a, b)|)), I0 kept scaled so that it does not overflow
        length = jnp.sqrt(jnp.square(output).sum(-1) + 1e-12)
        return jnp.sum(features * output, -1) - jnp.log(i0e(length)) - length - math.log(2.0 * math.pi)
    assert log_sd is not None  # a Gaussian has one
    sd = jnp.exp(log_sd)
    squares = jnp.square((features - output) / sd)
    return jnp.sum(-0.5 * squares - jnp.log(sd) - 0.5 * math.log(2.0 * math.pi), -1)
