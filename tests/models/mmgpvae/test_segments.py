"""Long trials in pieces: nothing is lost, nothing is doubled, and the answer is that of the whole."""

from __future__ import annotations

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from hypothesis import given

from neurokit_snn.models.mmgpvae import prediction, segments
from neurokit_snn.models.mmgpvae.behavior import Channel
from neurokit_snn.models.mmgpvae.design import Batch, Design
from neurokit_snn.models.mmgpvae.fourier import FourierBasis
from neurokit_snn.models.mmgpvae.neural import LIKELIHOODS
from neurokit_snn.models.mmgpvae.segments import LONGEST, Segments, segmented


def design(longest: float) -> Design:
    return Design(
        neural=1, shared=1, behavior=1, likelihood=LIKELIHOODS["poisson"], n_units=2, kernel="rbf",
        channels=(Channel("behavior_x", "gaussian", 1),), basis=FourierBasis(n_bins=4, period=8, highest=4),
        shortest=1.0, longest=longest, posterior="smoother", fusion="precision", closed_form=True, hidden=(),
    )  # fmt: skip


def numbered(trials: int, n_bins: int) -> Batch:
    """Values that say trial and bin, all valid."""
    values = 1.0 + np.arange(trials * n_bins, dtype=np.float64).reshape(trials, n_bins, 1)
    ones = np.ones((trials, n_bins))
    return Batch(np.repeat(values, 2, -1), np.repeat(ones[..., None], 2, -1), {"x": values}, {"x": ones})


@given(
    trials=st.integers(1, 3),
    n_bins=st.integers(1, 3 * LONGEST),
    longest=st.floats(1.0, 60.0),
    causal=st.booleans(),
)
def test_cut_then_join_is_the_identity(trials, n_bins, longest, causal):
    pieces = Segments(design(longest), n_bins=n_bins, causal=causal)
    batch = numbered(trials, n_bins)
    cut = pieces.cut(batch)
    assert cut.neural.shape[0] == trials * pieces.pieces
    assert pieces.length <= LONGEST
    if pieces.pieces > 1:
        assert cut.neural.shape[1] == pieces.length
    for before, after in zip(jax.tree.leaves(batch), jax.tree.leaves(cut), strict=True):
        np.testing.assert_array_equal(pieces.join(after, axis=0), before)
        drawn = pieces.join(np.stack([after, -after]), axis=1)
        np.testing.assert_array_equal(drawn, np.stack([before, -before]))
        assert pieces.join(np.stack([after, after])[:0], axis=1).shape == (0, *before.shape)  # no draws


@given(n_bins=st.integers(LONGEST + 1, 3 * LONGEST), longest=st.floats(1.0, 60.0), causal=st.booleans())
def test_context_is_the_true_neighbourhood_or_masked(n_bins, longest, causal):
    pieces = Segments(design(longest), n_bins=n_bins, causal=causal)
    cut = pieces.cut(numbered(1, n_bins))
    first = np.arange(pieces.pieces) * pieces.inner - pieces.before
    bins = first[:, None] + np.arange(pieces.length)
    inside = (bins >= 0) & (bins < n_bins)
    np.testing.assert_array_equal(cut.neural[..., 0], np.where(inside, bins + 1.0, 0.0))
    np.testing.assert_array_equal(cut.neural_mask[..., 0] > 0, inside)
    if causal:
        assert pieces.after == 0


@given(trials=st.integers(1, 3), n_bins=st.integers(1, 3 * LONGEST))
def test_training_pieces_hold_every_bin_once(trials, n_bins):
    batch = numbered(trials, n_bins)
    made = segmented(batch, longest=LONGEST / 4)
    assert made.neural.shape[1] <= LONGEST
    valid = made.neural_mask[..., 0] > 0
    np.testing.assert_array_equal(np.sort(made.neural[..., 0][valid]), batch.neural[..., 0].ravel())
    assert valid.any(1).all()


def test_keys_of_pieces_differ():
    pieces = Segments(design(10.0), n_bins=700, causal=False)
    keys = pieces.cut_keys(np.array([5, 12], np.uint32))
    assert keys.dtype == np.uint32
    assert len(set(keys.tolist())) == 2 * pieces.pieces


@pytest.mark.slow
@pytest.mark.parametrize("causal", [False, True])
def test_inference_in_pieces_is_inference_of_the_whole(
    make_design, make_batch, make_params, monkeypatch, causal
):
    whole = make_design(n_bins=40)
    batch = make_batch(whole, trials=2)
    params = make_params(whole, batch)
    keys = np.arange(2, dtype=np.uint32)
    exact = prediction.infer(whole, params, batch, keys=keys, draws=0, causal=causal)
    monkeypatch.setattr(segments, "LONGEST", 39)
    pieces = Segments(whole, n_bins=40, causal=causal)
    assert pieces.pieces > 1
    found = prediction.infer(whole, params, batch, keys=keys, draws=0, causal=causal)
    np.testing.assert_allclose(found.mean, exact.mean, atol=0.05)
    np.testing.assert_allclose(found.covariance, exact.covariance, atol=0.05)
