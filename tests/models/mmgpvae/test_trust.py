"""What an encoder says counts as far as the posterior so far thinks it possible."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from neurokit_snn.models.mmgpvae.gaussian import Paths
from neurokit_snn.models.mmgpvae.inference import SLACK, TRUSTED, agreement, trusted_factors


@pytest.fixture
def votes(make_design):
    """A design, a posterior of sd .5 at 0, and votes ever farther off in the shared latent, one a bin."""
    design = make_design(neural=1, shared=1, behavior=1, n_bins=5)
    paths = Paths(jnp.zeros((1, 5, 3)), jnp.broadcast_to(0.25 * jnp.eye(3), (1, 5, 3, 3)))
    off = jnp.array([0.0, 0.5, 1.0, 2.5, 5.0])
    mean = jnp.stack([off, jnp.zeros(5)], -1)[None]
    return design, paths, [(mean, jnp.full((1, 5, 2), 25.0))], off


def test_it_falls_with_the_distance_in_standard_deviations(votes):
    design, paths, said, off = votes
    (trust,) = agreement(design, said, paths)
    squares = np.square(off) / (1 / 25 + 0.25 + SLACK**2)
    np.testing.assert_allclose(trust[0], 1 / (1 + np.exp(0.5 * squares - TRUSTED)), rtol=1e-5)
    assert trust[0, 0] > 0.98
    assert trust[0, -1] < 1e-8


def test_a_sure_network_that_errs_by_little_is_not_doubted(votes):
    design, paths, said, _ = votes
    certain = Paths(paths.mean, 1e-4 * paths.covariance)
    near = [(0.3 * jnp.ones_like(said[0][0]), 1e4 * said[0][1])]
    assert float(agreement(design, near, certain)[0].min()) > 0.9


def test_a_vote_that_is_not_trusted_is_as_good_as_none(votes):
    design, _, said, _ = votes
    none = trusted_factors(design, said, [jnp.zeros((1, 5))])
    assert not np.any(none.linear)
    assert not np.any(none.precision)
    half, whole = (trusted_factors(design, said, [jnp.full((1, 5), t)]) for t in (0.5, 1.0))
    np.testing.assert_allclose(2.0 * half.linear, whole.linear)
    np.testing.assert_allclose(np.diagonal(whole.precision[0, 0]), [0.0, 25.0, 25.0])


def test_where_nothing_is_said_nothing_is_doubted(votes):
    design, paths, said, _ = votes
    silent = [(said[0][0], jnp.zeros_like(said[0][1]))]
    np.testing.assert_allclose(agreement(design, silent, paths)[0], 1.0, atol=0.02)
