"""Training: schedules, the state on disk, and a stop at the first bad number."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from neurokit_snn.artefact import read_tree, write_tree
from neurokit_snn.artefact.names import temporary
from neurokit_snn.errors import ModelError
from neurokit_snn.models.mmgpvae import training
from neurokit_snn.models.mmgpvae.checkpoint import Checkpoint
from neurokit_snn.models.mmgpvae.networks import Perceptron
from neurokit_snn.models.mmgpvae.state import params_from, params_state
from neurokit_snn.models.mmgpvae.training import Schedule, bound_terms, train
from neurokit_snn.models.modalities import Modality, modalities_from, modalities_state

NAME = "behavior_position"


@pytest.fixture
def schedule() -> Schedule:
    return Schedule(steps=60, batch_size=4, start_weights=((NAME, 0.1),), anneal=0.5, warmup=0.25)


def assert_same(one, two) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(two)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_rise_to_one(schedule):
    found = [float(schedule.weights(jnp.asarray(step))[NAME]) for step in (0, 15, 30, 59)]
    assert found == pytest.approx([0.1, np.sqrt(0.1), 1.0, 1.0], rel=1e-5)
    assert set(schedule.weights(jnp.asarray(0))) == {NAME}, "neural data and latents always count in full"


def test_orders_take_every_trial_once_an_epoch(schedule):
    orders = training._orders(9, schedule, np.random.default_rng(0))
    assert orders.shape[1] == 4
    assert len(orders) >= 60
    for epoch in orders[:60].reshape(-1, 8):
        assert len(set(epoch.tolist())) == 8


@pytest.fixture
def problem(make_design, make_batch, make_params, monkeypatch):
    monkeypatch.setattr(training, "CHUNK", 5)
    design = make_design(n_bins=6)
    batch = make_batch(design, trials=8)
    return design, make_params(design, batch), batch


@pytest.mark.slow
def test_resumed_fit_is_the_whole_fit(problem, schedule, tmp_path):
    """Killed half way: the state on disk, read into a new process's state, ends in the same parameters."""
    design, initial, data = problem
    whole, losses = train(design, initial, data, schedule, seed=3, progress=False, who="m")
    assert losses.shape == (60,)

    class Killed(Exception):
        pass

    class Dies(Checkpoint):
        def keep(self, state, steps, losses, *, last=False):
            if steps == 30:
                super().keep(state, steps, losses, last=True)
                raise Killed

    path = tmp_path / "state.nk"
    with pytest.raises(Killed):
        train(
            design,
            initial,
            data,
            schedule,
            seed=3,
            progress=False,
            who="m",
            checkpoint=Dies(path, fingerprint="a"),
        )
    params, again = train(
        design,
        initial,
        data,
        schedule,
        seed=3,
        progress=False,
        who="m",
        checkpoint=Checkpoint(path, fingerprint="a"),
    )
    assert_same(params, whole)
    np.testing.assert_array_equal(again, losses)
    with pytest.raises(ModelError, match="other data, parameters or seed"):
        train(
            design,
            initial,
            data,
            schedule,
            seed=3,
            progress=False,
            who="m",
            checkpoint=Checkpoint(path, fingerprint="b"),
        )


@pytest.mark.slow
def test_training_raises_the_bound(problem, schedule):
    """Of the data it is trained on, with all weights 1, whatever the weights were on the way."""
    design, initial, data = problem
    params, losses = train(design, initial, data, schedule, seed=0, progress=False, who="m")
    assert np.isfinite(losses).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    bound = jax.jit(lambda p: sum(bound_terms(design, p, data, key=jax.random.key(0)).values()))
    assert float(bound(params)) > float(bound(initial)) + 10.0


@pytest.mark.parametrize(
    ("name", "term"),
    [
        pytest.param("neural", "neural", marks=pytest.mark.slow),
        pytest.param(NAME, NAME, marks=pytest.mark.slow),
    ],
)
def test_a_bad_number_stops_the_fit(problem, schedule, name, term):
    design, initial, data = problem
    if name == "neural":
        neural = data.neural.copy()
        neural[5, 2, 1] = np.nan
        data = data._replace(neural=neural)
    else:
        values = data.behavior[NAME].copy()
        values[5, 2, 1] = np.inf
        data = data._replace(behavior={NAME: values})
    with pytest.raises(ModelError, match=rf"m: the bound is not finite at step [0-2]; the term is .*{term}"):
        train(design, initial, data, schedule, seed=0, progress=False, who="m")


def test_parameters_round_trip(problem, tmp_path):
    _, params, _ = problem
    stored = params_state(params)
    write_tree(xr.DataTree(stored), tmp_path / "p.nc")
    back = params_from(read_tree(tmp_path / "p.nc").to_dataset())
    assert isinstance(back[f"decoder {NAME}"], Perceptron)
    assert back["neural_extra"] == {}
    assert set(back) == set(params)
    for name in params:
        assert_same(back[name], params[name])


def test_modalities_round_trip():
    known = (
        Modality(
            name="stimulus_image", kind="gaussian", dims=("y", "x"), shape=(2, 1), coords={"y": [0.5, 1.5]},
            centre=np.array([1.0, 2.0]), scale=np.array([3.0, 3.0]),
        ),
        Modality(name="behavior_heading", kind="circular", period=360.0),
        Modality(name="choice", kind="categorical", categories=("left", "right")),
        Modality(name="behavior_state", kind="categorical", categories=(0.0, 2.0)),
    )  # fmt: skip
    stored = modalities_state(known)
    json.loads(stored.attrs["modalities"])
    for one, two in zip(modalities_from(stored), known, strict=True):
        for field in ("name", "kind", "dims", "shape", "coords", "categories"):
            assert getattr(one, field) == getattr(two, field)
        np.testing.assert_array_equal(one.period, two.period)
        np.testing.assert_array_equal(one.centre, two.centre)
        np.testing.assert_array_equal(one.scale, two.scale)
        assert (one.name, one.kind, one.width) == (two.name, two.kind, two.width)


def test_checkpoint_gives_back_what_it_was_given(tmp_path):
    """Keys of JAX, integers and floats of the optimiser's state, to the bit."""
    state = (jax.random.key(7), {"a": jnp.arange(3), "b": (jnp.float32(0.1), jnp.ones((2, 2)) / 3)})
    path = tmp_path / "c.nk"
    fresh = (jax.random.key(0), {"a": jnp.zeros(3, int), "b": (jnp.float32(0), jnp.zeros((2, 2)))})
    same, steps, losses = Checkpoint(path, fingerprint="f").restored(fresh)
    assert same is fresh
    assert (steps, losses.size) == (0, 0)
    Checkpoint(path, fingerprint="f").keep(state, 5, np.arange(5.0))  # the last write is too young
    assert not path.exists()
    Checkpoint(path, fingerprint="f").keep(state, 5, np.arange(5.0), last=True)
    path.rename(temporary(path, "old"))  # as an overwrite that was interrupted leaves it
    back, steps, losses = Checkpoint(path, fingerprint="f").restored(fresh)
    np.testing.assert_array_equal(jax.random.key_data(back[0]), jax.random.key_data(state[0]))
    assert_same(back[1], state[1])
    assert steps == 5
    np.testing.assert_array_equal(losses, np.arange(5.0))
