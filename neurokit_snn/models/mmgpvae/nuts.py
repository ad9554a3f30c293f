"""The whole posterior of the linear model by Hamiltonian Monte Carlo: an oracle for the guide, and a choice for small data.

Neural data alone, with latents that enter the predictor linearly, leave nothing to amortise: latents in whitened Fourier
coefficients, loadings, offsets and length scales together have a smooth posterior that NUTS (Hoffman and Gelman, JMLR 2014)
walks through. Nothing is factorised on the way, so that many data sets may run side by side.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import xarray as xr
from jax import Array
from jax.typing import ArrayLike
from numpyro.infer import MCMC, NUTS, init_to_sample
from tqdm.auto import tqdm

from neurokit_snn.errors import ModelError
from neurokit_snn.models.mmgpvae.arrays import batch_of
from neurokit_snn.models.mmgpvae.design import Batch, Design, fourier_root, length_scales
from neurokit_snn.models.mmgpvae.fourier import Kernel, basis_for
from neurokit_snn.models.mmgpvae.gaussian import project
from neurokit_snn.models.mmgpvae.neural import LIKELIHOODS
from neurokit_snn.models.mmgpvae.program import log_neural

__all__ = ["Prior", "linear_model", "prior_of", "sample_posterior", "sampler"]

KERNEL_SD = 1.5
"""Of the logit of a length scale's place between its bounds, on a log scale: nearly flat between them."""
STATISTICS = {
    "diverging": "diverging",
    "num_steps": "n_steps",
    "accept_prob": "acceptance_rate",
    "energy": "energy",
    "adapt_state.step_size": "step_size",
}
"""What NumPyro and ArviZ call the same thing."""


class Prior(NamedTuple):
    """Normal priors of the parameters.

    ``kernel`` is the mean of the logit of the place of each log length scale between its bounds; ``loading_sd`` that of
    independent loadings around 0; ``offset (unit,)`` the mean of the offsets; ``extra`` means ``(unit,)`` of the log of
    further parameters of the likelihood. Offsets and log parameters have a standard deviation of ``spread``.
    """

    kernel: ArrayLike
    loading_sd: ArrayLike
    offset: ArrayLike
    extra: dict[str, ArrayLike]
    spread: ArrayLike = 1.0


def prior_of(design: Design, batch: Batch, *, length_scale: float) -> Prior:
    """Offsets around those that explain the mean of each unit; predictors with a latent variance of 1 on average.

    Parameters
    ----------
    design
        The model.
    batch
        The data; only the mean of each unit (and of Gaussian data the standard deviation) is used.
    length_scale
        Prior median, bins.
    """
    values, mask = np.asarray(batch.neural, np.float64), np.asarray(batch.neural_mask) > 0
    offset, extra = design.likelihood.start(values, mask)
    share = np.log(length_scale / design.shortest) / np.log(design.longest / design.shortest)
    return Prior(
        kernel=float(np.log(share / (1.0 - share))),
        loading_sd=design.n_latents**-0.5,
        offset=offset.astype(np.float32),
        extra={name: np.asarray(value, np.float32) for name, value in extra.items()},
    )


def linear_model(design: Design, prior: Prior, batch: Batch) -> None:
    """NumPyro program of latents that enter the predictors of all units linearly.

    Sites: ``kernel (latent,)``, ``loading (unit, latent)``, ``offset (unit,)``, ``log NAME (unit,)`` of the likelihood's further
    parameters, ``coefficients (trial, latent * row)``; and what follows, ``length_scale (latent,)`` in bins and
    ``latents (trial, time, latent)``.

    Parameters
    ----------
    design
        The model; its behaviours are not read.
    prior
        Of the parameters.
    batch
        The data. Masked values contribute nothing.
    """
    shape = (design.n_units, design.n_latents)
    kernel = dist.Normal(jnp.broadcast_to(jnp.asarray(prior.kernel, jnp.float32), shape[1:]), KERNEL_SD)
    offset = dist.Normal(jnp.broadcast_to(prior.offset, shape[:1]), prior.spread)
    params = {
        "kernel": numpyro.sample("kernel", kernel.to_event(1)),
        "loading": numpyro.sample("loading", dist.Normal(jnp.zeros(shape), prior.loading_sd).to_event(2)),
        "offset": numpyro.sample("offset", offset.to_event(1)),
        "neural_extra": {
            name: numpyro.sample(
                f"log {name}", dist.Normal(jnp.broadcast_to(mean, shape[:1]), prior.spread).to_event(1)
            )
            for name, mean in prior.extra.items()
        },
    }
    root = fourier_root(design, params)
    size = root.shape[0] * root.shape[1]
    coefficients = numpyro.sample(
        "coefficients", dist.Normal(jnp.zeros((batch.n_trials, size)), 1.0).to_event(2)
    )
    numpyro.deterministic("length_scale", length_scales(design, params))
    paths = numpyro.deterministic("latents", project(root, coefficients))
    numpyro.factor("neural", log_neural(design, params, batch, paths).sum())


def sampler(
    design: Design, *, draws: int, warmup: int, known: Mapping[str, Array] | None = None, depth: int = 10
) -> MCMC:
    """NUTS of `linear_model`, one chain: ``.run(key, prior, batch)``, which may stand inside `jax.jit` and `jax.vmap`.

    Parameters
    ----------
    design
        The model.
    draws, warmup
        Steps that are kept, and before them steps of adaptation.
    known
        Sites that are not sampled, and their values.
    depth
        Most doublings of a trajectory.
    """
    program = functools.partial(linear_model, design)
    if known:
        program = numpyro.handlers.condition(program, data=dict(known))
    kernel = NUTS(program, init_strategy=init_to_sample, target_accept_prob=0.9, max_tree_depth=depth)
    return MCMC(kernel, num_warmup=warmup, num_samples=draws, num_chains=1, progress_bar=False)


@functools.lru_cache(maxsize=8)
def _chain(
    design: Design, draws: int, warmup: int
) -> Callable[..., tuple[dict[str, Array], dict[str, Array]]]:
    """One chain, compiled: draws and statistics of a key, a prior, data and known sites."""

    def run(
        key: Array, prior: Prior, batch: Batch, known: dict[str, Array]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        nuts = sampler(design, draws=draws, warmup=warmup, known=known)
        nuts.run(key, prior, batch, extra_fields=(*STATISTICS, "potential_energy"))
        return nuts.get_samples(), nuts.get_extra_fields()

    return jax.jit(run)


def sample_posterior(
    data: xr.Dataset,
    *,
    latents: int = 1,
    likelihood: Literal["poisson", "negative_binomial", "gaussian", "zero_inflated_gamma"] = "poisson",
    kernel: Kernel = "rbf",
    length_scale: float = 0.5,
    length_scale_bounds: tuple[float, float] | None = None,
    known: Mapping[str, ArrayLike] | None = None,
    chains: int = 4,
    draws: int = 500,
    warmup: int = 500,
    seed: int = 0,
    progress: bool = False,
) -> xr.DataTree:
    """Posterior draws of latents and parameters of Poisson GPFA and its relatives, without an approximation.

    The model is ``a = W z + d`` with Gaussian-process latents z and a likelihood of each unit given its predictor a, as
    in `neurokit_snn.MMGPVAE` with neural latents alone; here the parameters have priors and are sampled too.
    Latents are known up to their order, sign and rotation only: judge convergence by ``covariance``, ``offset`` and ``lp``,
    which do not depend on these, and not by ``latents`` and ``loading``.

    Parameters
    ----------
    data
        Binned data with ``counts`` (or ``calcium``, by the likelihood); masked bins are left out.
    latents
        How many.
    likelihood
        Of neural data.
    kernel
        Prior of the latents.
    length_scale
        Prior median of every length scale, seconds.
    length_scale_bounds
        Seconds; None for half and twice of ``length_scale``.
    known
        Parameters that are not sampled: ``loading (unit, latent)``, ``offset (unit,)``, ``length_scale (latent,)`` in
        seconds, and by name those of the likelihood, ``(unit,)``.
    chains, draws, warmup
        Chains, which run one after another, steps kept of each, and steps of adaptation before them.
    seed
        The same seed gives the same draws on the same machine.
    progress
        Show a bar.

    Returns
    -------
    xarray.DataTree
        In the layout of ArviZ, dims ``chain`` and ``draw`` first. ``/posterior``: ``latents (trial, time, latent)``,
        ``loading (unit, latent)``, ``offset (unit)``, ``length_scale (latent)`` in seconds, the likelihood's parameters
        ``(unit)`` and ``covariance (unit, other)``, that of the units' predictors, ``W W'``. ``/sample_stats``: ``lp``,
        ``diverging``, ``n_steps``, ``tree_depth``, ``acceptance_rate``, ``energy``, ``step_size``. ``/observed_data``: what was
        fitted.

    Raises
    ------
    ModelError
        When the likelihood is unknown, the data do not hold its variable or hold values it cannot give, there are more latents
        than units, the bounds are out of order, a known parameter has another shape, or a number of steps is below 1.

    References
    ----------
    Hoffman and Gelman, Journal of Machine Learning Research 15 (2014).

    Examples
    --------
    >>> import neurokit_snn as nk
    >>> rng = np.random.default_rng(0)
    >>> tree = nk.recording.build(spikes={i: np.sort(rng.uniform(0, 4, 40)) for i in range(2)})
    >>> data = nk.recording.bin(tree, 0.5, start=0.0, stop=4.0)
    >>> found = sample_posterior(data, length_scale=1.0, chains=2, draws=20, warmup=20)
    >>> dict(found["posterior"]["latents"].sizes)
    {'chain': 2, 'draw': 20, 'trial': 1, 'time': 8, 'latent': 1}
    """
    who = "sample_posterior"
    for name, value in (("chains", chains), ("draws", draws), ("warmup", warmup)):
        if value < 1:
            raise ModelError(f"{who}: {name} is {value}; give at least 1")
    design, batch = _arrays(data, latents, likelihood, kernel, length_scale, length_scale_bounds, who)
    width = float(data.attrs["bin_width"])
    prior = prior_of(design, batch, length_scale=length_scale / width)
    sites = _sites(design, dict(known or {}), width, who)
    run = _chain(design, draws, warmup)
    keys = jax.random.split(jax.random.key(seed), chains)
    bar = tqdm(keys, desc="sampling", unit="chain", disable=not progress, leave=False)
    made = [jax.tree.map(np.asarray, run(key, prior, batch, sites)) for key in bar]
    found, statistics = jax.tree.map(lambda *parts: np.stack(parts), *made)
    for name, value in sites.items():
        found.setdefault(name, np.broadcast_to(np.asarray(value), (chains, draws, *np.shape(value))))
    return _tree(design, data, found, statistics)


def _arrays(
    data: xr.Dataset,
    latents: int,
    likelihood: str,
    kernel: Kernel,
    length_scale: float,
    bounds: tuple[float, float] | None,
    who: str,
) -> tuple[Design, Batch]:
    """The model and the data, checked."""
    known: Mapping[str, Any] = LIKELIHOODS
    if likelihood not in known:
        raise ModelError(f"{who}: likelihood is {likelihood!r}; choose one of {', '.join(known)}")
    neural = known[likelihood]
    if neural.variable not in data:
        raise ModelError(f"{who}: the data hold no {neural.variable}, which likelihood={likelihood!r} reads")
    n_units = int(data.sizes["unit"])
    if not 0 < latents <= n_units:
        raise ModelError(f"{who}: latents is {latents}; give 1 to {n_units}, the number of units")
    lowest, highest = bounds or (length_scale / 2.0, length_scale * 2.0)
    if not 0.0 < lowest < length_scale < highest:
        raise ModelError(
            f"{who}: length_scale is {length_scale:g} s with bounds {lowest:g} and {highest:g} s; it must lie between them"
        )
    width = float(data.attrs["bin_width"])
    batch = batch_of(data, likelihood=neural, n_units=n_units, modalities=(), who=who)
    neural.check(np.asarray(batch.neural), np.asarray(batch.neural_mask) > 0, who)
    shortest, longest = lowest / width, highest / width
    design = Design(
        neural=latents,
        shared=0,
        behavior=0,
        likelihood=neural,
        n_units=n_units,
        channels=(),
        kernel=kernel,
        basis=basis_for(batch.neural.shape[1], kernel=kernel, shortest=shortest, longest=longest),
        shortest=shortest,
        longest=longest,
        posterior="smoother",
        fusion="precision",
        closed_form=True,
        hidden=(),
    )
    return design, batch


def _sites(design: Design, known: dict[str, ArrayLike], width: float, who: str) -> dict[str, Array]:
    """Sites of `linear_model` for parameters that are given."""
    shapes = {
        "loading": (design.n_units, design.n_latents),
        "offset": (design.n_units,),
        "length_scale": (design.n_latents,),
    }
    shapes |= {name: (design.n_units,) for name in design.likelihood.extra}
    sites: dict[str, Array] = {}
    for name, given in known.items():
        if name not in shapes:
            raise ModelError(f"{who}: known has {name!r}; choose from {', '.join(shapes)}")
        values = np.asarray(given, np.float64)
        if values.shape != shapes[name]:
            raise ModelError(f"{who}: known[{name!r}] has shape {values.shape}; give {shapes[name]}")
        if name == "length_scale":
            bins = values / width
            wrong = np.flatnonzero(~((bins > design.shortest) & (bins < design.longest)))
            if wrong.size:
                raise ModelError(
                    f"{who}: known['length_scale'] at {wrong[0]} is {values[wrong[0]]:g} s, outside of length_scale_bounds "
                    f"({design.shortest * width:g} to {design.longest * width:g} s); widen them"
                )
            share = np.log(bins / design.shortest) / np.log(design.longest / design.shortest)
            sites["kernel"] = jnp.asarray(np.log(share / (1.0 - share)), jnp.float32)
        elif name in design.likelihood.extra:
            sites[f"log {name}"] = jnp.asarray(np.log(values), jnp.float32)
        else:
            sites[name] = jnp.asarray(values, jnp.float32)
    return sites


def _tree(
    design: Design, data: xr.Dataset, found: dict[str, np.ndarray], statistics: dict[str, np.ndarray]
) -> xr.DataTree:
    """Draws and statistics with their labels."""
    labels, _ = design.labels()
    first = ("chain", "draw")
    loading = found["loading"]
    variables: dict[str, Any] = {
        "latents": ((*first, "trial", "time", "latent"), found["latents"]),
        "loading": ((*first, "unit", "latent"), loading),
        "offset": ((*first, "unit"), found["offset"]),
        "length_scale": (
            (*first, "latent"),
            found["length_scale"] * float(data.attrs["bin_width"]),
            {"units": "s"},
        ),
        "covariance": ((*first, "unit", "other"), loading @ np.swapaxes(loading, -1, -2)),
    }
    variables |= {name: ((*first, "unit"), np.exp(found[f"log {name}"])) for name in design.likelihood.extra}
    chains, draws = loading.shape[:2]
    steps = {"chain": np.arange(chains), "draw": np.arange(draws)}
    where = {name: data[name] for name in ("trial", "time", "unit")}
    posterior = xr.Dataset(
        variables,
        coords=steps
        | {"latent": labels, "other": data["unit"].values}
        | {k: v.values for k, v in where.items()},
        attrs={"inference_library": "numpyro", "inference_library_version": numpyro.__version__},
    )
    made = {ours: statistics[theirs] for theirs, ours in STATISTICS.items()}
    made["lp"] = -statistics["potential_energy"]
    made["tree_depth"] = np.floor(np.log2(made["n_steps"])).astype(np.int64) + 1
    stats = xr.Dataset({name: (first, value) for name, value in made.items()}, coords=steps)
    observed = data[[design.likelihood.variable]].drop_attrs()
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats, "observed_data": observed})
