"""The suite of tests that every model passes: subclass it, say how to make the model, and pytest finds the rest."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import xarray as xr
from scipy.special import gammaln
from sklearn.base import clone

from neurokit_snn.artefact import load
from neurokit_snn.errors import ModelError, NeurokitError
from neurokit_snn.models.base import AbstractModel
from neurokit_snn.models.conditioning import TASKS, Target, held_out, target_of
from neurokit_snn.models.registry import MODELS
from neurokit_snn.testing.place_cells import place_cells

__all__ = ["ModelSuite"]


class ModelSuite(abc.ABC):
    """Tests of the protocol for one model.

    Subclass with a name that starts with ``Test`` and write `make`; `data` may be overridden with data the model needs. The
    class attributes say what can be asked of the model.

    Examples
    --------
    >>> from neurokit_snn.models.mean_rate import MeanRate
    >>> class TestMeanRate(ModelSuite):
    ...     def make(self) -> AbstractModel:
    ...         return MeanRate()
    >>> suite = TestMeanRate()
    >>> suite.test_constructor_only_stores()
    """

    target: ClassVar[str | None] = None
    """Behaviour that a decoder decodes."""
    poisson: ClassVar[bool] = False
    """Whether predictions are mixtures of Poisson distributions over posterior draws."""
    simulates: ClassVar[tuple[str, ...]] = ()
    """Tasks whose predictions come from simulated spikes and so depend on which trials are asked for together."""
    unit_order: ClassVar[bool] = True
    """Whether the order of the units must not matter."""
    better_than_mean_rate: ClassVar[bool] = True
    """Whether held-out spikes must be likelier than under their mean rates."""
    spread_of_draws: ClassVar[float] = 0.02
    """Most nats per bin by which 100 and 400 draws may differ."""
    tolerance: ClassVar[float] = 1e-12
    """Largest relative difference of a prediction where nothing that it may see has changed; more for float32."""

    @abc.abstractmethod
    def make(self) -> AbstractModel:
        """A new, unfitted model."""

    def data(self) -> xr.Dataset:
        """Binned data to fit and test on, with missing bins, units and behaviour."""
        return place_cells()

    # ---- helpers -----------------------------------------------------------------------------------------------

    def _split(self) -> tuple[xr.Dataset, xr.Dataset]:
        """Training and test trials."""
        data = self.data()
        n_train = max(1, (3 * data.sizes["trial"]) // 4)
        return data.isel(trial=slice(None, n_train)), data.isel(trial=slice(n_train, None))

    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls) -> AbstractModel:
        """One fit that the tests share; they must not change it."""
        suite = cls()
        return suite.make().fit(suite._split()[0], seed=3)

    def _target(self, task: str) -> str | None:
        return self.target if TASKS[task].target == "behavior" else None

    def _predicted(self, model: AbstractModel, data: xr.Dataset, task: str, **options: Any) -> xr.Dataset:
        return model.predict(data, task=task, target=self._target(task), **options)

    def _scored(self, model: AbstractModel, data: xr.Dataset, task: str, **options: Any) -> xr.DataArray:
        return model.log_likelihood(data, task=task, target=self._target(task), **options)

    def _check_scored(self, asked: Target, scored: xr.DataArray) -> None:
        """A score in nats is finite exactly where the target is valid; that of a window of tokens is finite."""
        if "window" in scored.dims:
            assert scored.dims == ("trial", "window")
            np.testing.assert_array_equal(scored["trial"].values, asked.values["trial"].values)
            assert np.isfinite(scored.values).all()
            return
        mask = asked.mask.broadcast_like(scored).transpose(*scored.dims)
        np.testing.assert_array_equal(np.isfinite(scored.values), mask.values)

    def _same(self, one: AbstractModel, other: AbstractModel, data: xr.Dataset) -> None:
        for task in one.tasks:
            xr.testing.assert_identical(self._predicted(one, data, task), self._predicted(other, data, task))

    # ---- parameters --------------------------------------------------------------------------------------------

    def test_constructor_only_stores(self) -> None:
        """Parameters come back as given, a clone has the same, and nothing is learned before fit."""
        model = self.make()
        parameters = model.get_params()
        assert clone(model).get_params() == parameters
        assert type(model)(**parameters).get_params() == parameters
        assert set(vars(model)) == set(parameters), "a constructor stores its parameters and nothing else"
        for name, value in parameters.items():
            assert getattr(model, name) is value

    def test_names_its_tasks_and_history(self, trained: AbstractModel) -> None:
        """Tasks are known ones, and the history is a number of seconds."""
        assert trained.tasks
        assert set(trained.tasks) <= set(TASKS)
        assert isinstance(trained.deterministic, bool)
        assert isinstance(trained.history(), float)
        assert trained.history() >= 0

    def test_fit_returns_self_and_leaves_the_data_alone(self) -> None:
        """The data of a fit are what they were."""
        train, _ = self._split()
        before = train.copy(deep=True)
        model = self.make()
        assert model.fit(train) is model
        xr.testing.assert_identical(train, before)
        assert model.get_params() == self.make().get_params()

    # ---- shapes ------------------------------------------------------------------------------------------------

    def test_predictions_have_the_dims_and_units_of_the_target(self, trained: AbstractModel) -> None:
        """Rates in spikes/s over (trial, time, unit), behaviour in its own units, draws first."""
        _, test = self._split()
        for task in trained.tasks:
            asked = target_of(test, task, target=self._target(task))
            name = "rate" if asked.name == "counts" else asked.name
            found = self._predicted(trained, test, task)
            drawn = self._predicted(trained, test, task, draws=3)
            units = "spikes/s" if name == "rate" else test[asked.name].attrs["units"]
            for variable in (name, f"{name}_sd"):
                assert found[variable].dims == asked.values.dims
                assert found[variable].shape == asked.values.shape
                assert found[variable].attrs["units"] == units
                assert np.isfinite(found[variable].values).all()
            assert (found[f"{name}_sd"].values >= 0).all()
            for dim in asked.values.dims:
                np.testing.assert_array_equal(
                    found[dim].values, test[dim].sel({dim: asked.values[dim]}).values
                )
            if "draw" in drawn.dims:
                assert drawn[name].dims == ("draw", *asked.values.dims)
                assert drawn.sizes["draw"] == 3
            if name == "rate":  # where there can be no spike it may be 0
                assert (found["rate"].values >= 0).all()
                assert (found["rate"].where(asked.mask, 1.0).values > 0).all()

    def test_scores_are_nan_exactly_where_the_target_is_masked(self, trained: AbstractModel) -> None:
        """Valid bins have a finite score, others none; probabilities of counts are at most one."""
        _, test = self._split()
        for task in trained.tasks:
            asked = target_of(test, task, target=self._target(task))
            scored = self._scored(trained, test, task)
            if "window" not in scored.dims:
                assert scored.dims == tuple(d for d in asked.values.dims if d in ("trial", "time", "unit"))
            self._check_scored(asked, scored)
            if asked.name == "counts":
                assert scored.max() <= 1e-9

    def test_samples_are_counts_where_there_is_a_bin(self, trained: AbstractModel) -> None:
        """Samples are whole numbers, none where the mask is False, and the same for the same seed."""
        _, test = self._split()
        if "generate" not in trained.tasks:
            pytest.skip("the model does not generate")
        made = trained.sample(test, seed=5)
        assert made["counts"].dtype.kind == "i"
        assert made["counts"].sizes == test["counts"].sizes
        assert int(made["counts"].where(~test["mask"], 0).sum()) == 0
        assert int(made["counts"].min()) >= 0
        xr.testing.assert_identical(made, trained.sample(test, seed=5))
        assert not np.array_equal(made["counts"].values, trained.sample(test, seed=6)["counts"].values)

    def test_posterior_has_chains_and_draws(self, trained: AbstractModel) -> None:
        """Where there is a posterior, it is laid out as ArviZ expects."""
        if type(trained)._posterior is AbstractModel._posterior:
            with pytest.raises(ModelError, match="posterior"):
                _ = trained.posterior_
            return
        posterior = trained.posterior_["posterior"].to_dataset()
        assert posterior.data_vars
        for values in posterior.data_vars.values():
            assert values.dims[:2] == ("chain", "draw")
            assert np.isfinite(values.values).all()

    # ---- what a model may not see ------------------------------------------------------------------------------

    def test_masked_bins_cannot_matter(self, trained: AbstractModel) -> None:
        """What stands where a mask is False changes neither fit, nor prediction, nor score."""
        train, test = self._split()
        dirty_train, dirty_test = _with_garbage_where_masked(train), _with_garbage_where_masked(test)
        other = self.make().fit(dirty_train, seed=3)
        for task in trained.tasks:
            if TASKS[task].target == "behavior" and not trained.deterministic:
                continue  # the fit itself may differ; equality below is bit for bit
            xr.testing.assert_identical(
                self._predicted(trained, test, task), self._predicted(other, dirty_test, task)
            )
            xr.testing.assert_identical(
                self._scored(trained, test, task), self._scored(other, dirty_test, task)
            )

    def test_the_target_cannot_matter(self, trained: AbstractModel) -> None:
        """Permuting what is scored (held-out bins, units or behaviour) leaves every prediction as it was (P7)."""
        _, test = self._split()
        for task in trained.tasks:
            if TASKS[task].counts == "past":
                continue  # see test_forecast_is_causal
            changed = _with_other_target(test, task, self._target(task))
            xr.testing.assert_identical(
                self._predicted(trained, test, task), self._predicted(trained, changed, task)
            )
            scores = self._scored(trained, test, task), self._scored(trained, changed, task)
            assert not np.array_equal(scores[0].values, scores[1].values, equal_nan=True), (
                "the target is scored"
            )

    def test_forecast_is_causal(self, trained: AbstractModel) -> None:
        """A forecast does not change with spikes of its own bin or later, nor with later behaviour."""
        if "forecast" not in trained.tasks:
            pytest.skip("the model does not forecast")
        _, test = self._split()
        middle = test.sizes["time"] // 2
        changed = test.copy(deep=True)
        changed["counts"].values[:, middle:] += 3
        for name in (str(n) for n in test.data_vars if str(n).startswith("behavior_")):
            changed[name].values[:, middle + 1 :] = changed[name].values[:, middle + 1 :][::-1]
        before, after = (self._predicted(trained, d, "forecast") for d in (test, changed))
        until = {"time": slice(None, middle + 1)}
        np.testing.assert_allclose(before["rate"].isel(until), after["rate"].isel(until), rtol=self.tolerance)

    def test_forecast_reads_no_further_back_than_its_history(self, trained: AbstractModel) -> None:
        """Spikes older than ``history()`` do not matter, so a gap of that length separates train and test."""
        if "forecast" not in trained.tasks:
            pytest.skip("the model does not forecast")
        _, test = self._split()
        reach = int(np.ceil(trained.history() / trained.bin_width_ - 1e-9))
        last = test.sizes["time"] - 1
        if last - reach <= 0:
            pytest.skip("the history is longer than the trials of the data")
        changed = test.copy(deep=True)
        changed["counts"].values[:, : last - reach] += 3
        before, after = (
            self._predicted(trained, d, "forecast")["rate"].isel(time=last) for d in (test, changed)
        )
        np.testing.assert_allclose(before, after, rtol=self.tolerance)

    # ---- missing data ------------------------------------------------------------------------------------------

    def test_missing_behaviour_and_lost_units(self) -> None:
        """A trial without behaviour and a unit never observed are borne in training and in test."""
        train, test = (part.copy(deep=True) for part in self._split())
        for part in (train, test):
            for name in (str(n) for n in part.data_vars if str(n).startswith("behavior_")):
                part[name].values[0] = np.nan
                part[f"mask_{name}"].values[0] = False
        last = int(np.flatnonzero(~held_out(train))[-1]) if "held_out" in train.coords else -1
        train["mask"].values[..., last] = False
        train["counts"].values[..., last] = 0
        model = self.make().fit(train)
        for task in model.tasks:
            asked = target_of(test, task, target=self._target(task))
            found = self._predicted(model, test, task)
            assert all(np.isfinite(found[n].values).all() for n in found.data_vars)
            self._check_scored(asked, self._scored(model, test, task))

    # ---- reproducibility ---------------------------------------------------------------------------------------

    def test_same_seed_same_answer(self, trained: AbstractModel) -> None:
        """A second fit with the same seed predicts the same bits; a deterministic model with any seed."""
        train, test = self._split()
        again = self.make().fit(train, seed=4 if trained.deterministic else 3)
        self._same(trained, again, test)
        for task in trained.tasks:
            scores = [self._scored(trained, test, task, seed=7) for _ in range(2)]
            xr.testing.assert_identical(*scores)

    def test_saved_and_loaded_it_predicts_the_same_bits(self, trained: AbstractModel, tmp_path: Path) -> None:
        """A round trip through an artefact changes nothing."""
        if type(trained).__name__ not in MODELS:
            with pytest.raises(ModelError, match=r"registry\.MODELS"):
                trained.save(tmp_path / "fit.nk")
            return
        _, test = self._split()
        loaded = load(trained.save(tmp_path / "fit.nk"))
        assert type(loaded) is type(trained)
        assert loaded.get_params() == trained.get_params()
        self._same(trained, loaded, test)

    def test_trials_are_predicted_apart(self, trained: AbstractModel) -> None:
        """What is predicted in one trial does not depend on the trials asked for beside it."""
        _, test = self._split()
        for task in trained.tasks:
            if task in self.simulates:
                continue
            whole = self._predicted(trained, test, task).isel(trial=[1])
            alone = self._predicted(trained, test.isel(trial=[1]), task)
            xr.testing.assert_allclose(whole, alone, rtol=max(1e-9, self.tolerance))

    def test_lazy_data_score_as_eager_ones(self, trained: AbstractModel) -> None:
        """Data in dask chunks give the same scores as data in memory."""
        dask = pytest.importorskip("dask")
        _, test = self._split()
        with dask.config.set(scheduler="synchronous"):
            for task in trained.tasks:
                if task in self.simulates:
                    continue
                lazy = self._scored(trained, test.chunk({"time": 7}), task).compute()
                xr.testing.assert_allclose(lazy, self._scored(trained, test, task), rtol=1e-12)

    def test_the_order_of_units_does_not_matter(self, trained: AbstractModel) -> None:
        """Permuted units permute rates and leave decoded behaviour as it is."""
        if not self.unit_order:
            pytest.skip("the model starts from random weights for each unit")
        train, test = self._split()
        order = np.random.default_rng(0).permutation(train.sizes["unit"])
        other = self.make().fit(train.isel(unit=order), seed=3)
        for task in trained.tasks:
            if task in self.simulates:
                continue
            mine = self._predicted(trained, test, task, draws=0)
            theirs = self._predicted(other, test.isel(unit=order), task, draws=0)
            for name in (str(n) for n in mine.data_vars if not str(n).endswith("_sd")):
                sd = mine[f"{name}_sd"]
                back = theirs[name].sel(unit=mine["unit"]) if "unit" in mine[name].dims else theirs[name]
                # The draws themselves differ, so agreement is to their Monte Carlo error (100 draws).
                assert float(((back - mine[name]).__abs__() / (0.5 * sd + 1e-6)).max()) < 1.5

    # ---- likelihood --------------------------------------------------------------------------------------------

    def test_more_draws_do_not_bias(self, trained: AbstractModel) -> None:
        """The mean score per bin is the same for 100 and for 400 draws."""
        _, test = self._split()
        for task in trained.tasks:
            few = self._scored(trained, test, task, draws=100, seed=1)
            many = self._scored(trained, test, task, draws=400, seed=2)
            assert abs(float((few - many).mean())) <= self.spread_of_draws

    def test_too_few_draws_are_refused(self, trained: AbstractModel) -> None:
        """A score of a handful of draws would be a plug-in in disguise."""
        _, test = self._split()
        with pytest.raises(ModelError, match="draws"):
            self._scored(trained, test, trained.tasks[0], draws=10)

    def test_score_is_the_mean_over_draws_of_the_probability(self, trained: AbstractModel) -> None:
        """Log p = log mean over draws of the Poisson pmf at each draw's rate, computed here by hand."""
        if not self.poisson:
            pytest.skip("the predictive distribution is no mixture of Poissons over draws")
        _, test = self._split()
        for task in trained.tasks:
            asked = target_of(test, task)
            rate = self._predicted(trained, test, task, draws=100, seed=9)["rate"] * trained.bin_width_
            y = asked.values.astype(float)
            log_p = y * np.log(rate) - rate - xr.apply_ufunc(gammaln, y + 1.0)
            expected = np.log(np.exp(log_p).mean("draw")).where(asked.mask).transpose(*y.dims)
            scored = self._scored(trained, test, task, draws=100, seed=9)
            np.testing.assert_allclose(scored.values, expected.values, rtol=1e-9, atol=1e-12)

    def test_held_out_spikes_are_likelier_than_under_the_mean_rate(self, trained: AbstractModel) -> None:
        """A model of spikes learns something from data made with place fields."""
        from neurokit_snn.models.mean_rate import MeanRate

        train, test = self._split()
        tasks = [t for t in trained.tasks if TASKS[t].target == "counts"]
        if not tasks or not self.better_than_mean_rate:
            pytest.skip("nothing to beat the mean rate at")
        flat = MeanRate().fit(train)
        for task in tasks:
            gain = self._scored(trained, test, task).sum() - self._scored(flat, test, task).sum()
            assert float(gain) > 0.0

    # ---- errors ------------------------------------------------------------------------------------------------

    def test_wrong_questions_raise_one_line(self, trained: AbstractModel) -> None:
        """Errors name the model and what is wrong with the data or the task."""
        name = type(trained).__name__
        train, test = self._split()
        task = trained.tasks[0]
        with pytest.raises(ModelError, match="not fitted"):
            self._predicted(self.make(), test, task)
        with pytest.raises(ModelError, match="choose one of"):
            trained.predict(test, task="divine")
        for other in sorted(set(TASKS) - set(trained.tasks)):
            with pytest.raises(ModelError, match=f"{name} cannot"):
                trained.predict(test, task=other)
        with pytest.raises(ModelError, match=f"{name}.*units"):
            self._predicted(trained, test.isel(unit=slice(None, -1)), task)
        with pytest.raises(ModelError, match=f"{name}.*bins of"):
            self._predicted(trained, test.assign_attrs(bin_width=2 * test.attrs["bin_width"]), task)
        with pytest.raises(NeurokitError, match=name):
            self._predicted(trained, xr.Dataset(), task)
        with pytest.raises(ModelError, match=f"{name}.*counts"):
            self.make().fit(train.drop_vars("counts"))
        with pytest.raises(ModelError, match=name):
            self.make().fit(train.isel(trial=slice(0, 0)))


def _with_garbage_where_masked(data: xr.Dataset) -> xr.Dataset:
    dirty = data.copy(deep=True)
    rng = np.random.default_rng(0)
    hidden = ~data["mask"].values
    dirty["counts"].values[hidden] = rng.integers(0, 50, size=int(hidden.sum()))
    for name in (str(n) for n in data.data_vars if str(n).startswith("behavior_")):
        unknown = ~data[f"mask_{name}"].values
        dirty[name].values[unknown] = 1e6 * rng.normal(size=dirty[name].values[unknown].shape)
    return dirty


def _with_other_target(data: xr.Dataset, task: str, target: str | None) -> xr.Dataset:
    """The data with the scored values permuted over trials and bins (and raised, so that they differ)."""
    changed = data.copy(deep=True)
    asked = target_of(data, task, target=target)
    if TASKS[task].counts == "held-in":
        chosen = held_out(data)
        changed["counts"].values[..., chosen] = changed["counts"].values[::-1, ::-1, chosen] + 1
        return changed
    changed[asked.name].values[...] = changed[asked.name].values[::-1, ::-1] + 1
    return changed
