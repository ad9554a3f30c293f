"""Trainers: they learn, stop, resume, take masks and schedules, and say what is wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn import (
    BPTT,
    LIF,
    OTTT,
    SLTT,
    Classifier,
    LeakyIntegrator,
    Network,
    Regressor,
    Rule,
    Stateful,
    TruncatedBPTT,
)
from neurokit_snn.snn.training.readouts import objective, scores, step_weights

STEPS, TRIALS, CLASSES = 5, 60, 3


def toy(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Trials whose class is told by which input is large."""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(TRIALS) % CLASSES
    return torch.rand(STEPS, TRIALS, CLASSES, generator=g) + nn.functional.one_hot(y, CLASSES), y


def net(out: int = CLASSES, *, hidden: int = 24, dropout: float = 0.0) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Network(
            nn.Linear(CLASSES, hidden), LIF(), nn.Dropout(dropout), nn.Linear(hidden, out), LeakyIntegrator()
        )


def quick(network: Stateful | None = None, **fields: Any) -> Classifier:
    settings = {"epochs": 4, "batch_size": 16, "learning_rate": 0.02} | fields
    return Classifier(net() if network is None else network, **settings)


def weights(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


class TestLearning:
    """Every rule and readout learns an easy task."""

    @pytest.mark.parametrize(
        "rule", [BPTT(), SLTT(), SLTT(steps=1), OTTT(), TruncatedBPTT(window=2)], ids=str
    )
    def test_rules(self, rule: Rule) -> None:
        x, y = toy()
        trained = quick(rule=rule, epochs=6, learning_rate=0.05).fit(x, y)
        held = toy(seed=1)
        assert trained.score(*held) == 1.0
        assert trained.epochs_["loss"][-1] < 0.5 * trained.epochs_["loss"][0]
        assert not trained.network.training

    @pytest.mark.parametrize("readout", ["each", "last", "mean", "softmax"])
    def test_readouts(self, readout: Any) -> None:
        x, y = toy()
        assert quick(readout=readout, epochs=6, learning_rate=0.05).fit(x, y).score(*toy(seed=1)) == 1.0

    def test_numbers(self) -> None:
        x, _ = toy()
        y = torch.stack([x.mean((0, 2)), x[..., 0].mean(0)], -1)
        trained = Regressor(
            net(2, hidden=64), epochs=30, batch_size=16, learning_rate=0.05, readout="mean", patience=None
        )
        assert trained.fit(x, y).score(x, y) > 0.8
        assert trained.predict(x).shape == (TRIALS, 2)

    def test_a_number_for_every_step(self) -> None:
        x, _ = toy()
        y = x.cumsum(0)[..., :1] / STEPS
        trained = Regressor(
            net(1, hidden=64), epochs=25, batch_size=16, learning_rate=0.05, patience=None
        ).fit(x, y)
        outputs = trained.outputs(x)
        assert outputs.shape == y.shape
        r2 = 1 - (outputs - y).square().sum() / (y - y.mean()).square().sum()
        assert trained.score(x, y) == pytest.approx(float(r2), abs=1e-5)
        assert trained.score(x, y) > 0.7

    def test_arrays_of_small_numbers(self) -> None:
        """Spikes may be held as booleans or bytes, read-only ones too; the answer is that of floating-point ones."""
        x, y = toy()
        spikes = (x > 1.0).numpy()
        spikes.flags.writeable = False
        found = [
            quick(epochs=2).fit(kind, y.numpy()).epochs_
            for kind in (spikes, spikes.astype(np.uint8), (x > 1.0).float())
        ]
        assert found[0].equals(found[2])
        assert found[1].equals(found[2])

    def test_expanded_inputs_are_those_that_were_copied(self) -> None:
        x, y = toy()
        still = x[:1].expand(STEPS, -1, -1)
        assert quick(epochs=2).fit(still, y).epochs_.equals(quick(epochs=2).fit(still.clone(), y).epochs_)


class TestReadouts:
    """Losses and scores, against their formulas."""

    def setup_method(self) -> None:
        self.outputs = torch.randn(4, 3, CLASSES, generator=torch.Generator().manual_seed(0))
        self.mask = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 1, 0], [1, 0, 0]]).bool()
        self.y = torch.tensor([2, 0, 1])

    def loss(self, readout: Any) -> float:
        def criterion(outputs: Tensor, target: Tensor) -> Tensor:
            return cross_entropy(outputs.movedim(-1, 1), target, reduction="none")

        return float(objective(readout, criterion, self.y, self.mask)(self.outputs, 0))

    def test_each(self) -> None:
        lengths, o = [4, 3, 1], self.outputs
        expected = sum(
            cross_entropy(o[:n, b], self.y[b].expand(n)) for b, n in enumerate(lengths)
        )  # the mean over steps
        assert self.loss("each") == pytest.approx(float(expected), rel=1e-5)
        found = scores("each", o, self.mask)
        torch.testing.assert_close(found, torch.stack([o[:n, b].mean(0) for b, n in enumerate(lengths)]))

    def test_last(self) -> None:
        ends = self.outputs[[3, 2, 0], [0, 1, 2]]
        assert self.loss("last") == pytest.approx(
            float(cross_entropy(ends, self.y, reduction="sum")), rel=1e-5
        )
        torch.testing.assert_close(scores("last", self.outputs, self.mask), ends)

    def test_mean(self) -> None:
        means = torch.stack([self.outputs[:n, b].mean(0) for b, n in enumerate([4, 3, 1])])
        expected = cross_entropy(means, self.y, reduction="sum")
        assert self.loss("mean") == pytest.approx(float(expected), rel=1e-5)

    def test_softmax(self) -> None:
        sums = torch.stack([self.outputs[:n, b].softmax(-1).sum(0) for b, n in enumerate([4, 3, 1])])
        expected = cross_entropy(sums, self.y, reduction="sum")
        assert self.loss("softmax") == pytest.approx(float(expected), rel=1e-5)
        torch.testing.assert_close(scores("softmax", self.outputs, self.mask), sums)

    def test_pieces_add_up(self) -> None:
        def criterion(outputs: Tensor, target: Tensor) -> Tensor:
            return (outputs.sum(-1) - target) ** 2

        for readout in ("each", "last"):
            asked = objective(readout, criterion, self.y, self.mask)
            parts = asked(self.outputs[:1], 0) + asked(self.outputs[1:3], 1) + asked(self.outputs[3:], 3)
            torch.testing.assert_close(parts, asked(self.outputs, 0))

    def test_more_outputs_than_inputs(self) -> None:
        """What a network gives after its input has ended counts."""
        more = torch.cat([self.outputs, self.outputs[:2]])
        whole = torch.ones(4, 3, dtype=torch.bool)
        torch.testing.assert_close(scores("each", more, whole), more.mean(0))
        torch.testing.assert_close(scores("last", more, whole), more[-1])
        assert step_weights("each", whole).sum(0).tolist() == [1.0] * 3


class TestMasks:
    """Steps beyond a trial's end change nothing."""

    @pytest.mark.parametrize("rule", [BPTT(), SLTT(), OTTT()], ids=str)
    def test_what_lies_beyond(self, rule: Rule) -> None:
        x, y = toy()
        mask = torch.arange(STEPS)[:, None] < (2 + torch.arange(TRIALS) % 4)
        other = torch.where(mask[..., None], x, 1000.0 * torch.rand_like(x))
        found = [quick(rule=rule, epochs=2).fit(each, y, mask=mask) for each in (x, other)]
        assert found[0].epochs_.equals(found[1].epochs_)
        torch.testing.assert_close(found[0].scores(x, mask=mask), found[1].scores(other, mask=mask))
        assert not quick(rule=rule, epochs=2).fit(x, y).epochs_.equals(found[0].epochs_)


class TestValidation:
    """Early stop on trials that are neither learned from nor judged by."""

    def test_a_share(self) -> None:
        x, y = toy()
        trained = quick(epochs=12).fit(x, y, validation=0.2, seed=3)
        assert trained.epochs_["validation_error"][-1] == 0.0
        steps = math.ceil(0.8 * TRIALS / 16)
        assert len(trained.history_.loss) == 12 * steps
        assert trained.history_.tokens[steps - 1] == 0.8 * TRIALS

    def test_each_class_is_in_the_share(self) -> None:
        x, y = toy()
        seen: list[Tensor] = []

        class Watching(Classifier):
            def _measured(self, found: Tensor, target: Tensor, loss: float) -> dict[str, float]:
                seen.append(target)
                return super()._measured(found, target, loss)

        Watching(net(), epochs=1).fit(x, y, validation=0.1)
        assert torch.bincount(seen[0]).tolist() == [2, 2, 2]

    def test_stops_and_puts_the_best_back(self) -> None:
        """Validation trials of the wrong classes: what is learned makes them worse from the first epoch on."""
        x, y = toy()
        held = toy(seed=1)
        trained = quick(epochs=50, patience=3).fit(x, y, validation=(held[0], (held[1] + 1) % CLASSES))
        losses = trained.epochs_["validation_loss"].values
        assert len(losses) < 50
        assert len(losses) - 1 - losses.argmin() == 3
        assert trained.loss(held[0], (held[1] + 1) % CLASSES) == pytest.approx(losses.min(), rel=1e-5)

    def test_what_decides(self) -> None:
        x, y = toy()
        trained = quick(epochs=5, best="error").fit(x, y)
        assert (trained.history_.validation == trained.epochs_["validation_error"].values).all()
        assert "validation_loss" in trained.epochs_

    def test_none(self) -> None:
        x, y = toy()
        trained = quick(epochs=3).fit(x, y, validation=None)
        assert list(trained.epochs_) == ["loss", "accuracy", "learning_rate"]
        assert trained.epochs_.sizes["epoch"] == 3
        assert trained.history_.tokens[-1] == 3 * TRIALS

    @pytest.mark.parametrize(
        ("validation", "told"),
        [
            (0.0, r"validation is 0\.0; give a share between 0 and 1"),
            (1, r"validation is 1; give a share"),
            (0.001, r"validation is 0\.001 of 60 trials, which leaves a side without trials of every class"),
            ((torch.zeros(5, 2, 3),), r"validation has 1 parts; give \(x, y\)"),
            ((torch.zeros(5, 2, 4), torch.zeros(2).long()), r"validation has x \(5, 2, 4\)"),
            ((torch.zeros(5, 2, 3), torch.tensor([0, 3])), r"y\[1\] is 3 and the network has 3 outputs"),
        ],
    )
    def test_refused(self, validation: Any, told: str) -> None:
        with pytest.raises(ModelError, match=f"Classifier: .*{told}|Classifier: {told}"):
            quick().fit(*toy(), validation=validation)

    def test_the_same_trials(self) -> None:
        x, y = toy()
        with pytest.raises(ModelError, match="validation is the data to learn from"):
            quick().fit(x, y, validation=(x, y))


class TestRepeats:
    """The same answer each time, killed or not."""

    def test_seed(self) -> None:
        x, y = toy()
        found = [
            quick(net(dropout=0.3), rule=SLTT(steps=2), epochs=2).fit(x, y, seed=seed) for seed in (0, 0, 1)
        ]
        assert torch.equal(weights(found[0].network), weights(found[1].network))
        assert not torch.equal(weights(found[0].network), weights(found[2].network))

    @pytest.mark.parametrize("rule", [BPTT(), SLTT(steps=2)], ids=str)
    def test_resumed(self, rule: Rule, tmp_path: Path) -> None:
        """With random numbers in network and rule, and a layer that follows the training."""
        x, y = toy()

        def fresh(at: int = 10**9) -> Classifier:
            network = Network(Following(until=at), net(dropout=0.3))
            return quick(network, rule=rule, epochs=3, best="error", final_fraction=0.1, warmup=1.0)

        whole = fresh().fit(x, y)
        with pytest.raises(KeyboardInterrupt):
            fresh(9).fit(x, y, resume=tmp_path)
        again = fresh().fit(x, y, resume=tmp_path)
        assert torch.equal(weights(again.network), weights(whole.network))
        assert again.epochs_.equals(whole.epochs_)
        assert again.network.layers[0].calls < whole.network.layers[0].calls

    @pytest.mark.parametrize(
        "other",
        [
            {"readout": "last"},
            {"rule": SLTT()},
            {"batch_size": 8},
            {"rates": {"*.bias": 2.0}},
            {
                "network": Network(
                    nn.Linear(3, 24), LIF(3.0), nn.Dropout(0.0), nn.Linear(24, 3), LeakyIntegrator()
                )
            },
        ],
        ids=lambda fields: next(iter(fields)),
    )
    def test_checkpoint_of_another(self, other: dict[str, Any], tmp_path: Path) -> None:
        x, y = toy()
        quick(epochs=1).fit(x, y, resume=tmp_path)
        with pytest.raises(ModelError, match=r"training\.nk is the checkpoint of a fit with other data"):
            quick(**({"epochs": 1} | other)).fit(x, y, resume=tmp_path)

    def test_checkpoint_of_other_data(self, tmp_path: Path) -> None:
        x, y = toy()
        quick(epochs=1).fit(x, y, resume=tmp_path)
        changed = x.clone()
        changed[2, 7, 1] += 1e-3
        for other in ((changed, y), (x, y.flip(0))):
            with pytest.raises(ModelError, match="other data"):
                quick(epochs=1).fit(*other, resume=tmp_path)


class Following(Stateful):
    """Notes how far the training is, and interrupts it."""

    def __init__(self, until: int = 10**9) -> None:
        super().__init__()
        self._until, self.calls = until, 0
        self.told: list[float] = []

    def at(self, progress: float) -> None:
        self.told.append(progress)
        self.calls += 1
        if self.calls > self._until:
            raise KeyboardInterrupt

    def forward(self, x: Tensor, state: None = None, *, mask: Tensor | None = None) -> tuple[Tensor, None]:
        return x, None


class TestSchedules:
    """Learning rates, and layers that follow the training."""

    def test_layers_are_told_how_far_it_is(self) -> None:
        inner = Following()
        x, y = toy()
        quick(Network(Network(inner), net()), epochs=3).fit(x, y, validation=None)
        steps = 3 * math.ceil(TRIALS / 16)
        np.testing.assert_allclose(inner.told, np.arange(steps) / steps)

    def test_learning_rate(self) -> None:
        x, y = toy()
        trained = quick(epochs=6, warmup=2.0, final_fraction=0.1, learning_rate=0.01).fit(
            x, y, validation=None
        )
        rates = trained.history_.learning_rate
        at = trained.history_.tokens / TRIALS
        rising = at < 2
        np.testing.assert_allclose(rates[rising], 0.01 * at[rising] / 2)
        cosine = 0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * (at[~rising] - 2) / 4))
        np.testing.assert_allclose(rates[~rising], 0.01 * cosine)
        assert rates[-1] == pytest.approx(0.001)

    def test_rates_by_name(self) -> None:
        """The first step of AdamW is as long as the learning rate."""
        x, y = toy()
        network = net()
        before = [p.detach().clone() for p in network.parameters()]
        quick(network, epochs=1, batch_size=TRIALS, rates={"layers.0.*": 10.0}).fit(x, y, validation=None)
        steps = [
            float((p.detach() - b).abs().max()) for p, b in zip(network.parameters(), before, strict=True)
        ]
        np.testing.assert_allclose(steps, [0.2, 0.2, 0.02, 0.02], rtol=1e-3)

    def test_progress_bar(self, capsys: pytest.CaptureFixture[str]) -> None:
        quick(epochs=1).fit(*toy())
        assert capsys.readouterr().err == ""
        quick(epochs=1).fit(*toy(), progress=True)
        assert "Classifier" in capsys.readouterr().err


class TestRefused:
    """Before any step is done."""

    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"network": nn.Linear(3, 3)}, r"network is a Linear; give a snn\.Network"),
            ({"rule": "sltt"}, r"rule is 'sltt'; give an instance of a rule, as snn\.BPTT\(\)"),
            ({"rule": SLTT}, r"rule is <class"),
            ({"readout": "sum"}, "readout is 'sum'; choose one of each, last, mean, softmax"),
            ({"readout": "softmax", "rule": SLTT()}, r"readout is 'softmax', whose loss needs the whole trial, and SLTT"),
            ({"epochs": 0}, "epochs is 0; give a whole number, 1 or more"),
            ({"batch_size": 2.5}, r"batch_size is 2\.5"),
            ({"best": "accuracy"}, "best is 'accuracy'; choose loss or error"),
        ],
    )  # fmt: skip
    def test_fields(self, fields: dict[str, Any], told: str) -> None:
        with pytest.raises(ConfigError, match=rf"Classifier\.{told}"):
            quick(**fields)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"x": torch.zeros(5, 60)}, r"x has shape \(5, 60\); give \(time, trial, \.\.\., feature\)"),
            ({"x": torch.zeros(5, 0, 3)}, r"x has shape \(5, 0, 3\)"),
            ({"y": torch.zeros(59).long()}, r"y has shape \(59,\) and x \(5, 60, 3\)"),
            ({"y": torch.zeros(60)}, r"y is torch\.float32 \(60,\); give whole numbers \(trial,\)"),
            (
                {"y": torch.full((60,), -1)},
                r"y\[0\] is -1 and the network has 3 outputs; give classes 0 to 2",
            ),
            ({"mask": torch.ones(5, 60)}, r"mask is torch\.float32 \(5, 60\); give booleans \(5, 60\)"),
            ({"mask": torch.ones(60, 5).bool()}, r"mask is torch\.bool \(60, 5\)"),
            (
                {"mask": torch.arange(60).expand(5, 60) != 7},
                r"trial 7 has no valid step in mask; leave it out",
            ),
            ({"x": torch.zeros(5, 60, 4)}, r"layer 0: Linear"),
        ],
    )
    def test_data(self, change: dict[str, Any], told: str) -> None:
        x, y = toy()
        given = {"x": x, "y": y} | change
        with pytest.raises(ModelError, match=told):
            quick().fit(**given)

    def test_not_a_number(self) -> None:
        x, y = toy()
        x[3, 11, 1] = torch.nan
        with pytest.raises(ModelError, match=r"Classifier: x\[3, 11, 1\] is nan; give finite numbers"):
            quick().fit(x, y)

    def test_rates_that_match_nothing(self) -> None:
        with pytest.raises(ModelError, match=r"rates\['network\.\*\.position'\] matches no parameter"):
            quick(rates={"*.position": 100.0}).fit(*toy())

    def test_regressor(self) -> None:
        x, _ = toy()
        with pytest.raises(ConfigError, match=r"Regressor\.readout is 'softmax'"):
            Regressor(net(), readout="softmax")
        with pytest.raises(
            ModelError,
            match=r"y is torch\.float32 \(60, 2\) and the network has 3 outputs; give .* \(trial, 3\)",
        ):
            Regressor(net()).fit(x, torch.zeros(60, 2))
        with pytest.raises(
            ModelError, match=r"readout is 'last' and y has a target for each step; choose each"
        ):
            Regressor(net(), readout="last").fit(x, torch.zeros(5, 60, 3))
