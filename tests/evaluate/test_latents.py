"""Alignment of latents, their R2 and the leakage between blocks, against known maps and other implementations."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from neurokit_snn.errors import EvaluationError
from neurokit_snn.evaluate import align_latents, interval_coverage, latent_leakage, latent_r2

NAMES = ["neural 0", "neural 1", "shared 0", "behavior 0"]
BLOCKS = ["neural", "neural", "shared", "behavior"]
TRAIN, TEST = slice(0, 30), slice(30, 40)


def _array(values: np.ndarray, names: list[str], blocks: list[str], **coords: object) -> xr.DataArray:
    time = (np.arange(values.shape[1]) + 0.5) * 0.1
    return xr.DataArray(
        values,
        dims=("trial", "time", "latent"),
        coords={
            "trial": np.arange(len(values)),
            "time": time,
            "latent": names,
            "block": ("latent", blocks),
            **coords,
        },
    )


@pytest.fixture(scope="module")
def truth() -> xr.DataArray:
    """Four independent latents of 40 trials of 25 samples; one of them far from 0 and wide."""
    values = np.random.default_rng(0).normal(size=(40, 25, 4))
    values[..., 3] = 5.0 + 3.0 * values[..., 3]
    return _array(values, ["pace", "lift", "turn", "zoom"], BLOCKS, side=("trial", ["left", "right"] * 20))


@pytest.fixture(scope="module")
def latents(truth: xr.DataArray) -> xr.DataArray:
    """The truth, turned within the neural block, scaled, shifted and noisy; its latents in another order."""
    z = truth.values
    mixed = np.stack(
        [z[..., 2] / 2, z[..., 0] + z[..., 1], z[..., 0] - 2 * z[..., 1] + 1, -z[..., 3] / 3], axis=-1
    )
    noise = np.random.default_rng(1).normal(size=mixed.shape)
    order = [NAMES[k] for k in (2, 0, 1, 3)]
    return _array(mixed + 0.3 * noise, order, ["shared", "neural", "neural", "behavior"])


def test_affine_is_regression_within_each_block(truth, latents):
    alignment = align_latents(latents[TRAIN], truth[TRAIN])
    aligned = alignment.apply(latents[TEST])
    for block in ("neural", "shared", "behavior"):
        ours, theirs = (a.isel(latent=a["block"].values == block) for a in (latents, truth))
        peer = LinearRegression().fit(
            ours[TRAIN].values.reshape(750, -1), theirs[TRAIN].values.reshape(750, -1)
        )
        expected = peer.predict(ours[TEST].values.reshape(250, -1)).reshape(10, 25, -1)
        np.testing.assert_allclose(aligned.sel(latent=theirs["latent"]), expected, atol=1e-9)
    apart = alignment.matrix.where(alignment.matrix["block"] != alignment.matrix["true_block"])
    assert (apart.fillna(0.0) == 0.0).all(), "a private latent must not be mapped from another block"
    assert aligned["latent"].values.tolist() == truth["latent"].values.tolist()
    assert aligned["block"].values.tolist() == BLOCKS


def test_without_blocks_all_latents_serve(truth, latents):
    neural_only = latents.assign_coords(block=("latent", ["neural"] * 4))
    aligned = align_latents(neural_only[TRAIN], truth[TRAIN], blocks=False).apply(neural_only[TEST])
    peer = LinearRegression().fit(latents[TRAIN].values.reshape(750, 4), truth[TRAIN].values.reshape(750, 4))
    np.testing.assert_allclose(
        aligned.values.reshape(250, 4), peer.predict(latents[TEST].values.reshape(250, 4)), atol=1e-9
    )


def test_an_exact_map_is_undone_on_other_trials(truth):
    turned = truth.copy(data=truth.values @ np.diag([2.0, -1.0, 0.5, 4.0]) - 3.0)
    turned = turned.assign_coords(latent=NAMES)
    aligned = align_latents(turned[TRAIN], truth[TRAIN]).apply(turned[TEST])
    np.testing.assert_allclose(aligned, truth[TEST], atol=1e-9)
    assert aligned["side"].values.tolist() == truth["side"][TEST].values.tolist()


def test_procrustes_turns_scales_and_shifts(truth):
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))[0]
    turned = truth.copy(data=(truth.values - 1.0) @ rotation / 2.5)
    alignment = align_latents(turned[TRAIN], truth[TRAIN], method="procrustes", blocks=False)
    np.testing.assert_allclose(alignment.matrix, 2.5 * rotation, atol=1e-9)
    np.testing.assert_allclose(alignment.apply(turned[TEST]), truth[TEST], atol=1e-9)


def test_procrustes_is_the_least_squares_turn(truth, latents):
    """Against a search over angle, scale and offset in the two neural dimensions."""
    ours = latents.sel(latent=["neural 0", "neural 1"]).values.reshape(-1, 2)
    theirs = truth.isel(latent=[0, 1]).values.reshape(-1, 2)

    def squared(parameters: np.ndarray, flip: float) -> float:
        angle, scale, x, y = parameters
        turn = np.array([[np.cos(angle), -np.sin(angle)], [flip * np.sin(angle), flip * np.cos(angle)]])
        return float(((scale * ours @ turn + [x, y] - theirs) ** 2).sum())

    starts = [np.array([angle, 0.5, 0.0, 0.0]) for angle in (0.0, 1.5, 3.0, 4.5)]
    best = min(minimize(squared, start, args=(flip,)).fun for start in starts for flip in (1.0, -1.0))
    alignment = align_latents(latents, truth, method="procrustes")
    found = alignment.apply(latents).isel(latent=[0, 1]).values.reshape(-1, 2)
    assert float(((found - theirs) ** 2).sum()) == pytest.approx(best, rel=1e-6)


def test_draws_are_mapped_one_by_one_and_their_mean_is_fitted(truth, latents):
    noise = xr.DataArray(np.random.default_rng(3).normal(size=(5, 40, 25, 4)), dims=("draw", *latents.dims))
    draws = (latents + noise - noise.mean("draw")).transpose("draw", ...)
    alignment = align_latents(draws[:, TRAIN], truth[TRAIN])
    np.testing.assert_allclose(alignment.matrix, align_latents(latents[TRAIN], truth[TRAIN]).matrix)
    mapped = alignment.apply(draws.transpose("trial", "latent", "draw", "time"))
    assert mapped.dims == ("trial", "latent", "draw", "time")
    np.testing.assert_allclose(
        mapped.isel(draw=2).transpose("trial", "time", "latent"), alignment.apply(draws.isel(draw=2))
    )


def test_masked_samples_are_never_read(truth, latents):
    mask = xr.DataArray(np.random.default_rng(4).random((40, 25)) < 0.7, dims=("trial", "time"))
    spoilt, hidden = latents.where(mask, np.nan), truth.where(mask, 1e6)
    clean = align_latents(latents.where(mask, 0.0), truth, mask=mask)
    found = align_latents(spoilt, hidden, mask=mask)
    xr.testing.assert_identical(found.matrix, clean.matrix)
    xr.testing.assert_allclose(
        latent_r2(found.apply(spoilt), hidden, mask=mask), latent_r2(clean.apply(latents), truth, mask=mask)
    )


def test_r2_is_that_of_scikit_learn(truth, latents):
    aligned = align_latents(latents[TRAIN], truth[TRAIN]).apply(latents[TEST])
    r2 = latent_r2(aligned.isel(latent=[3, 1, 0, 2]), truth[TEST])
    expected = r2_score(
        truth[TEST].values.reshape(-1, 4), aligned.values.reshape(-1, 4), multioutput="raw_values"
    )
    np.testing.assert_allclose(r2, expected)
    assert 0.5 < float(r2.sel(latent="turn")) < 0.9
    by_block = r2.groupby("block").mean()
    assert float(by_block.sel(block="neural")) == pytest.approx(expected[:2].mean())


def test_alignment_on_scored_trials_would_flatter(truth):
    """Latents of pure noise explain nothing of other trials, and less than nothing by their number."""
    noise = np.random.default_rng(5).normal(size=(40, 25, 40))
    many = _array(noise, [f"neural {k}" for k in range(40)], ["neural"] * 40)
    honest = align_latents(many[TRAIN], truth[TRAIN], blocks=False).apply(many[TEST])
    flattered = align_latents(many[TEST], truth[TEST], blocks=False).apply(many[TEST])
    assert float(latent_r2(honest, truth[TEST]).max()) < 0.02
    assert float(latent_r2(flattered, truth[TEST]).min()) > 0.08


def test_a_constant_truth_has_no_r2(truth):
    flat = truth.copy(data=truth.values * [1.0, 1.0, 0.0, 1.0])
    r2 = latent_r2(flat + 0.1, flat)
    assert np.isnan(r2.sel(latent="turn"))
    assert np.isfinite(r2.drop_sel(latent="turn")).all()


def test_leakage_is_the_share_that_a_private_latent_took(truth):
    """Of ``n + s / 2`` a quarter to one is shared: R2 of the shared latent from it is .25 / 1.25 = .2."""
    z = np.random.default_rng(6).normal(size=(400, 25, 3))
    names, blocks = ["neural 0", "shared 0", "behavior 0"], ["neural", "shared", "behavior"]
    true = _array(z, names, blocks)
    leaky = true.copy(data=np.stack([z[..., 0] + z[..., 1] / 2, z[..., 1], z[..., 2]], axis=-1))
    train, test = slice(0, 300), slice(300, 400)
    leak = latent_leakage(leaky[train], true[train], leaky[test], true[test])
    assert leak.dims == ("block", "true_block")
    assert leak["block"].values.tolist() == blocks
    expected = np.array([[0.8, 0.2, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(leak, expected, atol=0.03)


def test_leakage_reads_masks_and_draws(truth, latents):
    mask = xr.DataArray(np.arange(25) < 20, dims="time") & xr.DataArray(np.ones(40, bool), dims="trial")
    mask = mask.transpose("trial", "time")
    spoilt = latents.where(mask).expand_dims(draw=2)
    found = latent_leakage(
        spoilt[:, TRAIN],
        truth[TRAIN],
        spoilt[:, TEST],
        truth[TEST],
        mask=mask[TRAIN],
        test_mask=mask[TEST],
    )
    cut = {"time": slice(0, 20)}
    ours, theirs = latents.isel(cut), truth.isel(cut)
    xr.testing.assert_allclose(found, latent_leakage(ours[TRAIN], theirs[TRAIN], ours[TEST], theirs[TEST]))


def test_a_pruned_latent_does_not_spoil_the_draws(truth):
    """Its posterior mean hardly moves; a weight fitted to that would multiply draws of the width of the prior."""
    rng = np.random.default_rng(7)
    true = truth.isel(latent=[2])
    mean = np.concatenate([true.values, 1e-4 * rng.normal(size=true.shape)], axis=-1)
    mean[..., 0] = mean[..., 0] * 0.8 + 0.4 * rng.normal(
        size=(40, 25)
    )  # mean of the posterior under noise of variance .25
    sd = np.broadcast_to([np.sqrt(0.2), 1.0], mean.shape)
    estimate, spread = (_array(a, ["shared 0", "shared 1"], ["shared"] * 2) for a in (mean, sd))
    normal = xr.DataArray(rng.normal(size=(100, *mean.shape)), dims=("draw", *true.dims))
    draws = (estimate + spread * normal).transpose("draw", ...)
    kept = align_latents(estimate[TRAIN], true[TRAIN], sd=spread[TRAIN])
    blind = align_latents(estimate[TRAIN], true[TRAIN])
    assert float(kept.matrix.sel(latent="shared 1").squeeze()) == 0.0
    assert abs(float(blind.matrix.sel(latent="shared 1").squeeze())) > 10.0
    assert float(kept.apply(draws).std("draw").mean()) == pytest.approx(np.sqrt(0.2), rel=0.05)
    covered = interval_coverage(kept.apply(draws)[:, TEST], true[TEST])
    assert 0.85 < float(covered["pooled"]) < 0.95


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda z: z, {"method": "cca"}, "method='cca' is unknown; choose from affine, procrustes"),
        (lambda z: z.drop_vars("block"), {}, r"latents has no coordinate block \(latent\)"),
        (
            lambda z: z.isel(latent=[1, 2, 3]),
            {},
            "latents has no latent of block 'shared', only neural, behav",
        ),
        (
            lambda z: z.isel(latent=[0, 1, 3]),
            {"method": "procrustes"},
            "1 informative ones onto 2; use method",
        ),
        (lambda z: z[1:], {}, "latents has 39 along trial, truth 40"),
        (lambda z: z[::-1], {}, "trial 0 of latents is 39, of truth 0"),
        (lambda z: z.assign_coords(time=z["time"] + 0.1), {}, "time 0 of latents is 0.15"),
        (lambda z: z.where(z["trial"] != 2), {}, "latents is nan at trial 2, time 0, latent 'shared 0'"),
        (lambda z: z.rename(latent="factor"), {}, "latents has dims .* which lack 'latent'"),
        (lambda z: z.isel(trial=0), {}, r"pass \(trial, time, latent\)"),
        (lambda z: z, {"mask": xr.DataArray(np.zeros((40, 25)), dims=("trial", "time"))}, "mask is float64"),
        (lambda z: z, {"mask": xr.DataArray(np.zeros((40, 25), bool), dims=("trial", "time"))}, "no sample"),
    ],
)
def test_what_cannot_be_aligned_is_named(truth, latents, change, options, message):
    with pytest.raises(EvaluationError, match=message):
        align_latents(change(latents), truth, **options)


def test_latents_of_another_fit_are_refused(truth, latents):
    alignment = align_latents(latents, truth)
    with pytest.raises(EvaluationError, match="but the alignment was fitted to"):
        alignment.apply(latents.assign_coords(latent=list("abcd")))
    with pytest.raises(EvaluationError, match="align them with align_latents"):
        latent_r2(latents, truth)
    with pytest.raises(EvaluationError, match="sd holds the latents"):
        align_latents(latents, truth, sd=latents.isel(latent=[1, 0, 2, 3]))
