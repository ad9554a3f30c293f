"""NUTS over the linear model: exact where the posterior is known, beside the guide where it is not, and its errors."""

from __future__ import annotations

import dataclasses

import arviz_stats
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.mmgpvae.arrays import batch_of
from neurokit_snn.models.mmgpvae.design import Design, fourier_root, root_of
from neurokit_snn.models.mmgpvae.fourier import basis_for
from neurokit_snn.models.mmgpvae.neural import LIKELIHOODS
from neurokit_snn.models.mmgpvae.nuts import Prior, linear_model, prior_of, sample_posterior
from neurokit_snn.models.mmgpvae.program import guide_distribution

TRIALS, N_BINS, UNITS, WIDTH = 3, 10, ("a", "b", "c", "d"), 0.1
LENGTH, BOUNDS = 0.3, (0.15, 0.6)


def design_of(likelihood: str) -> Design:
    """What `sample_posterior` makes of the defaults of these tests."""
    low, high = (bound / WIDTH for bound in BOUNDS)
    return Design(
        neural=1, shared=0, behavior=0, likelihood=LIKELIHOODS[likelihood], n_units=4, channels=(), kernel="rbf",
        basis=basis_for(N_BINS, kernel="rbf", shortest=low, longest=high), shortest=low, longest=high,
        posterior="smoother", fusion="precision", closed_form=True, hidden=(),
    )  # fmt: skip


KNOWN = {
    "loading": np.array([[1.0], [0.7], [-0.5], [0.4]]),
    "offset": np.array([0.2, -0.3, 0.5, 0.0]),
    "length_scale": np.array([LENGTH]),
}


def binned(likelihood: str) -> xr.Dataset:
    rng = np.random.default_rng(0)
    root = np.asarray(root_of(design_of(likelihood), {"kernel": jnp.zeros(1)}))  # sqrt(.15 * .6) = .3 s
    latents = np.einsum("pft,rpf->rtp", root, rng.standard_normal((TRIALS, *root.shape[:2])))
    a = latents @ KNOWN["loading"].T + KNOWN["offset"]
    dims = ("trial", "time", "unit")
    mask = rng.uniform(size=a.shape) > 0.1
    if likelihood == "poisson":
        variables = {
            "counts": (dims, np.where(mask, rng.poisson(np.exp(a)), 0).astype(np.int32)),
            "mask": (dims, mask),
        }
    else:
        variables = {
            "calcium": (dims, np.where(mask, a + 0.5 * rng.standard_normal(a.shape), np.nan)),
            "mask_calcium": (dims, mask),
        }
    coords = {"trial": np.arange(TRIALS), "time": WIDTH * (0.5 + np.arange(N_BINS)), "unit": list(UNITS)}
    coords |= {"trial_start": ("trial", np.arange(3.0)), "trial_stop": ("trial", np.arange(3.0) + 1.0)}
    attrs = {"schema": "neurokit_snn.binned", "schema_version": 1, "bin_width": WIDTH, "layout": "trials"}
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def guided(likelihood: str, data: xr.Dataset):
    """Mean and standard deviation ``(trial, time)`` of the guide at the known parameters."""
    design = design_of(likelihood)
    batch = batch_of(data, likelihood=design.likelihood, n_units=4, modalities=(), who="m")
    params = {name: jnp.asarray(KNOWN[name], jnp.float32) for name in ("loading", "offset")} | {
        "kernel": jnp.zeros(1)
    }
    params["neural_extra"] = {} if likelihood == "poisson" else {"sd": jnp.full(4, np.log(0.5))}
    paths = jax.jit(lambda b: guide_distribution(design, params, b, iterations=10)[1])(batch)
    return np.asarray(paths.mean)[..., 0], np.sqrt(np.asarray(paths.covariance)[..., 0, 0])


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", ["gaussian", "poisson"])
def test_latents_at_known_parameters_are_those_of_the_guide(likelihood):
    """Exactly so where the likelihood is Gaussian; for Poisson counts the guide is a very good approximation."""
    data = binned(likelihood)
    known = KNOWN | ({"sd": np.full(4, 0.5)} if likelihood == "gaussian" else {})
    found = sample_posterior(
        data,
        likelihood=likelihood,
        length_scale=0.25,
        length_scale_bounds=BOUNDS,
        known=known,
        chains=4,
        draws=1000,
        warmup=300,
    )
    latents = found["posterior"]["latents"].squeeze("latent", drop=True)
    np.testing.assert_allclose(found["posterior"]["loading"][0, 0], KNOWN["loading"], rtol=1e-6)
    np.testing.assert_allclose(found["posterior"]["length_scale"], LENGTH, rtol=1e-5)
    assert float(found["sample_stats"]["diverging"].mean()) < 0.01
    assert float(arviz_stats.rhat(latents).max()) < 1.02
    mean, sd = guided(likelihood, data)
    error = arviz_stats.mcse(latents).values
    off = 0.0 if likelihood == "gaussian" else 0.05 * sd
    assert np.all(np.abs(latents.mean(("chain", "draw")).values - mean) <= 4.5 * error + off)
    np.testing.assert_allclose(latents.std(("chain", "draw")).values, sd, rtol=0.08)


@pytest.mark.slow
def test_parameters_are_recovered_and_diagnosed():
    data = binned("poisson")
    found = sample_posterior(
        data, length_scale=LENGTH, length_scale_bounds=BOUNDS, chains=4, draws=500, warmup=400, seed=1
    )
    posterior = found["posterior"]
    assert posterior["covariance"].dims == ("chain", "draw", "unit", "other")
    assert posterior["length_scale"].attrs["units"] == "s"
    assert posterior["latents"].dims == ("chain", "draw", "trial", "time", "latent")
    assert posterior["unit"].values.tolist() == list(UNITS)
    rhat = arviz_stats.rhat(found, var_names=["covariance", "offset", "length_scale"])
    assert max(float(rhat[name].max()) for name in ("covariance", "offset", "length_scale")) < 1.05
    truth = KNOWN["loading"] @ KNOWN["loading"].T
    low, high = np.quantile(posterior["covariance"].values, [0.005, 0.995], axis=(0, 1))
    assert np.mean((truth > low) & (truth < high)) > 0.8
    low, high = np.quantile(posterior["offset"].values, [0.005, 0.995], axis=(0, 1))
    assert np.all((KNOWN["offset"] > low) & (KNOWN["offset"] < high))
    lengths = posterior["length_scale"]
    assert float(lengths.min()) >= BOUNDS[0]
    assert float(lengths.max()) <= BOUNDS[1]
    again = sample_posterior(
        data, length_scale=LENGTH, length_scale_bounds=BOUNDS, chains=4, draws=500, warmup=400, seed=1
    )
    xr.testing.assert_identical(again["posterior"].to_dataset(), posterior.to_dataset())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"likelihood": "binomial"}, "likelihood is 'binomial'; choose one of poisson, "),
        ({"likelihood": "gaussian"}, "the data hold no calcium, which likelihood='gaussian' reads"),
        ({"latents": 5}, "latents is 5; give 1 to 4, the number of units"),
        ({"latents": 0}, "latents is 0; give 1 to 4"),
        (
            {"length_scale_bounds": (0.6, 0.9)},
            "length_scale is 0.5 s with bounds 0.6 and 0.9 s; it must lie between them",
        ),
        ({"known": {"rate": 1.0}}, "known has 'rate'; choose from loading, offset, length_scale"),
        ({"known": {"offset": np.zeros(3)}}, r"known\['offset'\] has shape \(3,\); give \(4,\)"),
        (
            {"known": {"length_scale": [2.0]}},
            r"known\['length_scale'\] at 0 is 2 s, outside of length_scale_bounds",
        ),
        ({"draws": 0}, "draws is 0; give at least 1"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ModelError, match=f"sample_posterior: {message}"):
        sample_posterior(binned("poisson"), **changes)


def test_negative_counts_are_refused():
    data = binned("poisson")
    data["counts"][1, 2, 3], data["mask"][1, 2, 3] = -1, True
    with pytest.raises(ModelError, match="counts at trial 1, bin 2, unit 3 is -1; give whole numbers"):
        sample_posterior(data)


def test_density_of_the_program_is_that_of_its_parts():
    """Log joint of NumPyro's program against SciPy, at one point, with masked values left out."""
    from numpyro.infer.util import log_density
    from scipy.stats import norm, poisson

    data, design = binned("poisson"), design_of("poisson")
    batch = batch_of(data, likelihood=design.likelihood, n_units=4, modalities=(), who="m")
    prior = prior_of(design, batch, length_scale=LENGTH / WIDTH)
    assert prior.kernel == pytest.approx(0.0, abs=1e-6)
    mean = data["counts"].where(data["mask"]).mean(("trial", "time"))
    np.testing.assert_allclose(prior.offset, np.log(mean), atol=0.05)
    rng = np.random.default_rng(1)
    size = design.basis.n_rows
    sites = {
        "kernel": np.array([0.3]), "loading": rng.standard_normal((4, 1)), "offset": rng.standard_normal(4),
        "coefficients": rng.standard_normal((TRIALS, size)),
    }  # fmt: skip
    found = float(
        log_density(
            linear_model,
            (design, prior, batch),
            {},
            {k: jnp.asarray(v, jnp.float32) for k, v in sites.items()},
        )[0]
    )
    root = np.asarray(fourier_root(design, {"kernel": jnp.array([0.3])}))[0]
    a = (sites["coefficients"] @ root)[..., None] * sites["loading"][:, 0] + sites["offset"]
    exact = (
        norm.logpdf(0.3, 0.0, 1.5)
        + norm.logpdf(sites["loading"]).sum()
        + norm.logpdf(sites["coefficients"]).sum()
    )
    exact += norm.logpdf(sites["offset"], prior.offset).sum()
    exact += poisson(np.exp(a)).logpmf(data["counts"].values)[data["mask"].values].sum()
    assert found == pytest.approx(exact, rel=1e-5)


def test_prior_of_two_latents_has_unit_variance():
    design = dataclasses.replace(design_of("gaussian"), neural=2)
    batch = batch_of(binned("gaussian"), likelihood=design.likelihood, n_units=4, modalities=(), who="m")
    prior = prior_of(design, batch, length_scale=3.0)
    assert isinstance(prior, Prior)
    assert 2 * prior.loading_sd**2 == pytest.approx(1.0)
    assert set(prior.extra) == {"sd"}
