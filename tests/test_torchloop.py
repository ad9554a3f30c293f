"""The training loop: against a loop by hand, killed and resumed, in two processes, and refused."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from lightning_fabric import Fabric
from torch import Tensor, nn

from neurokit_snn import artefact
from neurokit_snn.artefact.names import temporary
from neurokit_snn.errors import ArtefactError, ModelError
from neurokit_snn.testing.killing import Zygote
from neurokit_snn.torchloop import History, Schedule, parameter_groups, train

TARGET = Path(__file__).with_name("torchloop_target.py")


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("torchloop_target", TARGET)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


target = _load()
STEPS = target.SCHEDULE.steps
CURVES = ("loss", "learning_rate", "tokens", "validation_step", "validation")


def assert_same(actual: History, expected: History) -> None:
    """To the bit, but for the time."""
    for name in CURVES:
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name), err_msg=name)
    for part in ("terms", "measures"):
        found, wanted = getattr(actual, part), getattr(expected, part)
        assert list(found) == list(wanted)
        for name, values in wanted.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Numbers(nn.Module):
    """As simple as can be: the distance of a number from those of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.zeros(()))

    def forward(self, batch: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        return {"square": ((batch - self.number).square().sum(), torch.tensor(len(batch)))}

    def tokens(self, batch: Tensor) -> int:
        return len(batch)


def ones(step: int, rank: int, world: int) -> Tensor:
    return torch.ones(4)


class TestSchedule:
    """Learning rate by tokens, and numbers that make no schedule."""

    @pytest.mark.parametrize("tokens", [1, 79, 80, 81, 200, 399, 400, 1000])
    def test_rate_is_the_formula(self, tokens: int) -> None:
        schedule = Schedule(
            steps=1, learning_rate=3e-4, warmup_tokens=80, decay_tokens=400, final_fraction=0.2
        )
        if tokens < 80:
            expected = 3e-4 * tokens / 80
        else:
            angle = math.pi * min(tokens - 80, 320) / 320
            expected = 3e-4 * (0.2 + 0.8 * math.cos(angle / 2) ** 2)
        assert schedule.rate(tokens) == pytest.approx(expected, rel=1e-12)

    def test_constant_after_the_warm_up(self) -> None:
        schedule = Schedule(steps=1, learning_rate=2.0, warmup_tokens=10)
        assert [schedule.rate(tokens) for tokens in (1, 10, 10**12)] == [0.2, 2.0, 2.0]
        assert Schedule(steps=1, learning_rate=2.0).rate(1) == 2.0

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("steps", 0), ("learning_rate", 0.0), ("learning_rate", math.nan), ("betas", (0.9, 1.0)),
            ("weight_decay", -1.0), ("clip", 0.0), ("warmup_tokens", -1.0), ("decay_tokens", 5.0),
            ("final_fraction", 1.5), ("checkpoint_every", 0), ("validate_every", -1), ("patience", 3),
        ],
    )  # fmt: skip
    def test_refused(self, name: str, value: Any) -> None:
        with pytest.raises(ModelError, match=rf"Schedule: {name} is .*; give "):
            Schedule(**{"steps": 10, "warmup_tokens": 5.0, name: value})


class TestGroups:
    """Weight decay goes to the weights of layers that multiply, and to nothing else."""

    def test_by_type_of_module(self) -> None:
        class Everything(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.linear, self.conv, self.bilinear = (
                    nn.Linear(2, 3),
                    nn.Conv3d(1, 2, 3),
                    nn.Bilinear(2, 2, 2),
                )
                self.attention = nn.MultiheadAttention(4, 2)
                self.recurrent = nn.GRU(2, 3)
                self.embedding, self.norm, self.batch = nn.Embedding(4, 2), nn.LayerNorm(2), nn.BatchNorm1d(2)
                self.position = nn.Parameter(torch.zeros(5, 2))
                self.tied = nn.Linear(2, 4, bias=False)
                self.tied.weight = self.embedding.weight
                self.frozen = nn.Linear(2, 2).requires_grad_(False)

        module = Everything()
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        decaying, others = parameter_groups(module, 0.3)
        assert (decaying["weight_decay"], others["weight_decay"]) == (0.3, 0.0)
        assert {names[id(p)] for p in decaying["params"]} == {
            "linear.weight", "conv.weight", "bilinear.weight", "attention.in_proj_weight",
            "attention.out_proj.weight", "recurrent.weight_ih_l0", "recurrent.weight_hh_l0",
        }  # fmt: skip
        found = [names[id(p)] for group in (decaying, others) for p in group["params"]]
        assert sorted(found) == sorted(name for name in names.values() if not name.startswith("frozen"))

    def test_nothing_to_train(self) -> None:
        with pytest.raises(ModelError, match="Linear: no parameter has requires_grad"):
            parameter_groups(nn.Linear(2, 2).requires_grad_(False), 1.0)


class TestRates:
    """Parameters that learn faster or slower than the others."""

    def test_groups_by_pattern(self) -> None:
        module = target.small()
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        groups = parameter_groups(module, 0.3, {"head.*": 10.0, "n*.bias": 0.5})
        found = {
            (group["factor"], group["weight_decay"]): {names[id(p)] for p in group["params"]}
            for group in groups
        }
        assert found == {
            (1.0, 0.3): {"hidden.weight", "number.weight", "never.weight"},
            (1.0, 0.0): {"embedding.weight", "position", "norm.weight", "hidden.bias"},
            (10.0, 0.3): {"head.weight"},
            (0.5, 0.0): {"norm.bias", "number.bias", "never.bias"},
        }

    def test_a_step_is_so_much_longer(self) -> None:
        """The first step of AdamW is the learning rate long, whatever the gradient."""

        def moved(rates: dict[str, float] | None) -> dict[str, float]:
            module = target.small()
            before = {name: value.clone() for name, value in module.state_dict().items()}
            schedule = Schedule(steps=1, learning_rate=1e-3, weight_decay=0.0)
            history = train(module, target.batches, schedule, seed=0, rates=rates)
            assert history.learning_rate.tolist() == [1e-3]
            return {
                name: float((value - before[name]).abs().max()) for name, value in module.state_dict().items()
            }

        plain, faster = moved(None), moved({"head.weight": 20.0, "norm.*": 0.1})
        for name, step in plain.items():
            factor = {"head.weight": 20.0, "norm.weight": 0.1, "norm.bias": 0.1}.get(name, 1.0)
            assert faster[name] == pytest.approx(factor * step, rel=1e-3)
        assert plain["head.weight"] > 0

    def test_resumed(self, tmp_path: Path) -> None:
        rates = {"head.*": 3.0, "*.bias": 0.3}
        whole, history = target.run(rates=rates)
        assert not same_weights(whole, target.run()[0])
        with pytest.raises(KeyboardInterrupt):
            target.run(tmp_path / "fit.nk", rates=rates, make=target.interrupted(11))
        module, resumed = target.run(tmp_path / "fit.nk", rates=rates)
        assert_same(resumed, history)
        assert same_weights(module, whole)

    @pytest.mark.parametrize(
        ("rates", "told"),
        [
            ({"head.*": 0.0}, r"rates\['head\.\*'\] is 0\.0; give a factor above 0"),
            ({"head.*": math.inf}, r"rates\['head\.\*'\] is inf"),
            ({"hood.*": 2.0}, r"rates\['hood\.\*'\] matches no parameter; there are position, embedding"),
            ({"head.*": 2.0, "*.weight": 3.0}, r"'\*\.weight' and 'head\.\*' both match head\.weight"),
        ],
    )
    def test_refused(self, rates: dict[str, float], told: str) -> None:
        with pytest.raises(ModelError, match=told):
            target.run(rates=rates)


def by_hand(steps: int) -> tuple[nn.Module, list[float], list[float]]:
    """Weights, losses and gradient norms of the same training in a dozen lines of plain torch."""
    module, schedule = target.small(), target.SCHEDULE
    decaying = [module.hidden.weight, module.head.weight, module.number.weight, module.never.weight]
    others = [p for p in module.parameters() if not any(p is q for q in decaying)]
    groups = [{"params": decaying, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)
    losses, norms, seen = [], [], 0
    for step in range(steps):
        batch = target.batches(step, 0, 1)
        terms = module(batch)
        (symbol, symbols), (number, numbers) = terms["symbol"], terms["number"]
        loss = symbol / symbols + 0.01 * number / max(int(numbers), 1)
        optimiser.zero_grad()
        loss.backward()
        norms.append(float(nn.utils.clip_grad_norm_([*decaying, *others], schedule.clip)))
        seen += module.tokens(batch)
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate(seen)
        optimiser.step()
        losses.append(symbol.item() / symbols.item() + 0.01 * number.item() / max(int(numbers), 1))
    return module, losses, norms


class TestSteps:
    """What one process does."""

    def test_as_a_loop_by_hand(self) -> None:
        schedule = dataclasses.replace(target.SCHEDULE, validate_every=0)
        module, history = target.run(schedule=schedule)
        plain, losses, norms = by_hand(STEPS)
        assert min(norms) < schedule.clip < max(norms)  # the gradient was clipped, and not always
        assert same_weights(module, plain)
        np.testing.assert_array_equal(history.loss, losses)
        tokens = np.cumsum([plain.tokens(target.batches(step, 0, 1)) for step in range(STEPS)])
        np.testing.assert_array_equal(history.tokens, tokens)
        np.testing.assert_array_equal(history.learning_rate, [schedule.rate(t) for t in tokens])
        assert history.learning_rate.argmax() not in (0, STEPS - 1)  # it rose and fell
        missing = np.isnan(history.terms["number"])
        assert missing.sum() == STEPS // 4  # steps at which nobody had a number: they count nothing
        np.testing.assert_array_equal(history.loss[missing], history.terms["symbol"][missing])
        assert history.validation.size == 0

    def test_it_learns(self) -> None:
        schedule = Schedule(steps=150, learning_rate=0.01, weight_decay=0.0)
        module, history = target.run(
            make=lambda step, rank, world: target.batches(step % 2, 0, 1), schedule=schedule
        )
        assert history.terms["symbol"][-1] < 0.6 * history.terms["symbol"][0]
        assert not module.training
        assert all(parameter.grad is None for parameter in module.parameters())

    def test_dropout_depends_on_the_seed_alone(self) -> None:
        before = torch.random.get_rng_state()
        one = target.run(dropout=0.2)[1]
        assert torch.equal(torch.random.get_rng_state(), before)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(12345)
            assert_same(target.run(dropout=0.2)[1], one)
        assert not np.array_equal(target.run(dropout=0.2, seed=4)[1].loss, one.loss)

    def test_frozen_parameters_stay(self) -> None:
        module = target.small()
        module.hidden.requires_grad_(False)
        before = {name: value.clone() for name, value in module.state_dict().items()}
        train(module, target.batches, target.SCHEDULE, seed=0, validate=target.validate)
        same = {name for name, value in module.state_dict().items() if torch.equal(value, before[name])}
        assert same == {"hidden.weight", "hidden.bias", "never.weight", "never.bias"}  # frozen, never used

    def test_a_batch_with_nothing_to_learn_changes_nothing(self) -> None:
        class Idle(Numbers):
            def forward(self, batch: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
                return {"square": (torch.zeros(()), torch.tensor(0))}

        module = Idle()
        history = train(module, ones, Schedule(steps=3, weight_decay=0.0), seed=0)
        assert module.number.item() == 0.0
        assert history.loss.tolist() == [0.0] * 3
        assert np.isnan(history.terms["square"]).all()

    def test_a_term_that_counts_nothing_adds_nothing(self) -> None:
        class Masked(Numbers):
            def forward(self, batch: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
                nothing = (self.number * torch.zeros(4)).sum(), torch.tensor(0)
                return super().forward(batch) | {"masked": nothing}

        schedule = Schedule(steps=5, learning_rate=0.1)
        plain, masked = Numbers(), Masked()
        history = train(plain, ones, schedule, seed=0)
        np.testing.assert_array_equal(train(masked, ones, schedule, seed=0).loss, history.loss)
        assert masked.number.item() == plain.number.item() > 0.0

    def test_mixed_precision(self) -> None:
        seen = {}

        class Watched(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.linear = nn.Linear(8, 1)
                nn.init.zeros_(self.linear.weight)
                nn.init.zeros_(self.linear.bias)

            def forward(self, batch: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
                found = self.linear(batch)
                seen.update(batch=batch.clone(), product=found.dtype)
                return {"square": ((found.float()[:, 0] - 50.0).square().sum(), torch.tensor(len(batch)))}

            def tokens(self, batch: Tensor) -> int:
                return len(batch)

        batch = torch.rand(16, 8, generator=torch.Generator().manual_seed(0)) + 1000.0 / 7.0
        module = Watched()
        schedule = Schedule(steps=40, learning_rate=1e-3, weight_decay=0.0, precision="bf16-mixed")
        history = train(module, lambda step, rank, world: batch, schedule, seed=0)
        assert seen["product"] == torch.bfloat16
        assert torch.equal(seen["batch"], batch)  # inputs are not rounded before the module sees them
        assert module.linear.weight.dtype == torch.float32
        assert history.loss[-1] < 0.5 * history.loss[0]

    def test_progress_bar(self, capsys: pytest.CaptureFixture[str]) -> None:
        schedule = Schedule(steps=300)
        train(Numbers(), ones, schedule, seed=0)
        assert capsys.readouterr().err == ""
        train(Numbers(), ones, schedule, seed=0, progress=True, description="numbers")
        told = capsys.readouterr().err
        assert "numbers" in told
        assert "tokens/s" in told

    def test_quiet_about_its_precision(self, caplog: pytest.LogCaptureFixture) -> None:
        """Fabric tells the log; a fit of many in a comparison does not."""
        level = logging.getLogger("lightning_fabric").level
        with caplog.at_level(logging.INFO):
            Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
            assert "bfloat16" in caplog.text
            caplog.clear()
            train(Numbers(), ones, Schedule(steps=1, precision="bf16-mixed"), seed=0)
        assert caplog.text == ""
        assert logging.getLogger("lightning_fabric").level == level

    def test_history_as_a_dataset(self, tmp_path: Path) -> None:
        _, history = target.run()
        path = artefact.write(tmp_path / "h.nk", kind="dataset", trees={"history": history.to_dataset()})
        again = History.from_dataset(artefact.read(path).dataset("history"))
        assert_same(again, history)
        assert again.seconds == history.seconds > 0
        assert history.to_dataset()["terms"].dims == ("term", "step")


class TestValidation:
    """Validation chooses the weights, and stops what no longer gets better."""

    @staticmethod
    def scripted(values: list[float], seen: list[float]) -> Any:
        def validate(module: Numbers) -> float:
            assert not module.training
            assert not torch.is_grad_enabled()
            seen.append(module.number.item())
            return values[len(seen) - 1]

        return validate

    def test_early_stop_restores_the_best(self, tmp_path: Path) -> None:
        module, seen = Numbers(), []
        schedule = Schedule(steps=100, learning_rate=0.01, validate_every=4, patience=2)
        validate = self.scripted([5.0, 3.0, 4.0, 2.0, 2.0, 2.5, 0.0], seen)
        history = train(module, ones, schedule, seed=0, validate=validate, checkpoint=tmp_path / "fit.nk")
        assert history.validation_step.tolist() == [4, 8, 12, 16, 20, 24]
        assert history.validation.tolist() == [5.0, 3.0, 4.0, 2.0, 2.0, 2.5]
        assert len(history.loss) == 24
        assert module.number.item() == seen[3] != seen[5]

        def never(*args: Any) -> Any:
            raise AssertionError("the training had come to its end")

        again = Numbers()
        assert_same(
            train(again, never, schedule, seed=0, validate=never, checkpoint=tmp_path / "fit.nk"), history
        )
        assert again.number.item() == seen[3]

    def test_what_is_measured_beside(self, tmp_path: Path) -> None:
        """The first number decides; all are kept, through an interruption and in a data set."""

        def validate(module: nn.Module) -> dict[str, float]:
            loss = target.validate(module)
            return {"loss": loss, "twice": 2.0 * loss, "one": 1}

        _, plain = target.run()
        _, history = target.run(validate=validate)
        np.testing.assert_array_equal(history.validation, plain.validation)
        assert plain.measures == {}
        assert list(history.measures) == ["twice", "one"]
        np.testing.assert_array_equal(history.measures["twice"], 2.0 * history.validation)
        with pytest.raises(KeyboardInterrupt):
            target.run(tmp_path / "fit.nk", validate=validate, make=target.interrupted(11))
        _, resumed = target.run(tmp_path / "fit.nk", validate=validate)
        assert_same(resumed, history)
        assert_same(History.from_dataset(history.to_dataset()), history)
        old = history.to_dataset().drop_vars(["measures", "measure"])
        assert History.from_dataset(old).measures == {}

    def test_the_last_step_is_validated(self) -> None:
        module, seen = Numbers(), []
        validate = self.scripted([1.0, 2.0, 0.5], seen)
        history = train(module, ones, Schedule(steps=10, validate_every=4), seed=0, validate=validate)
        assert history.validation_step.tolist() == [4, 8, 10]
        assert module.number.item() == seen[2]

    def test_not_a_number(self) -> None:
        with pytest.raises(ModelError, match="fish: validation after 2 steps gave NaN"):
            train(
                Numbers(),
                ones,
                Schedule(steps=3, validate_every=2),
                seed=0,
                validate=lambda _: math.nan,
                who="fish",
            )

    def test_nothing_to_validate_with(self) -> None:
        with pytest.raises(ModelError, match="validate_every is 2 and there is no validate"):
            train(Numbers(), ones, Schedule(steps=3, validate_every=2), seed=0)


class TestResume:
    """A training that was stopped goes on to the same answer."""

    def test_interrupted(self, tmp_path: Path) -> None:
        whole, history = target.run(dropout=0.2)
        with pytest.raises(KeyboardInterrupt):
            target.run(tmp_path / "fit.nk", dropout=0.2, make=target.interrupted(11))
        assert artefact.read(tmp_path / "fit.nk", kind="checkpoint").config["steps"] == 9
        asked = []

        def make(step: int, rank: int, world: int) -> Any:
            asked.append(step)
            return target.batches(step, rank, world)

        module, resumed = target.run(tmp_path / "fit.nk", dropout=0.2, make=make)
        assert asked == list(range(9, STEPS))
        assert_same(resumed, history)
        assert same_weights(module, whole)
        asked.clear()
        module, resumed = target.run(tmp_path / "fit.nk", dropout=0.2, make=make)  # it is finished
        assert asked == []
        assert_same(resumed, history)
        assert same_weights(module, whole)

    def test_killed_between_two_renames(self, tmp_path: Path) -> None:
        """What an overwrite has put aside is brought back, and not begun anew."""
        with pytest.raises(KeyboardInterrupt):
            target.run(tmp_path / "fit.nk", make=target.interrupted(11))
        (tmp_path / "fit.nk").rename(temporary(tmp_path / "fit.nk", "old"))
        asked = []

        def make(step: int, rank: int, world: int) -> Any:
            asked.append(step)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            target.run(tmp_path / "fit.nk", make=make)
        assert asked == [9]

    def test_tied_weights_and_buffers(self, tmp_path: Path) -> None:
        class Tied(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.embedding, self.head = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
                self.norm = nn.BatchNorm1d(4)
                self.head.weight = self.embedding.weight

            def forward(self, batch: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
                found = self.head(self.norm(self.embedding(batch)))
                return {"id": (nn.functional.cross_entropy(found, batch, reduction="sum"), torch.tensor(8))}

            def tokens(self, batch: Tensor) -> int:
                return len(batch)

        def make(step: int, rank: int, world: int, *, until: int = 99) -> Tensor:
            if step == until:
                raise KeyboardInterrupt
            return torch.randint(5, (8,), generator=torch.Generator().manual_seed(step))

        schedule = Schedule(steps=10, learning_rate=0.01, checkpoint_every=2)
        start = Tied().state_dict()
        modules = [Tied(), Tied(), Tied()]
        for module in modules:
            module.load_state_dict(start)
        train(modules[0], make, schedule, seed=0)
        with pytest.raises(KeyboardInterrupt):
            train(modules[1], lambda *a: make(*a, until=7), schedule, seed=0, checkpoint=tmp_path / "fit.nk")
        train(modules[2], make, schedule, seed=0, checkpoint=tmp_path / "fit.nk")
        assert same_weights(modules[2], modules[0])
        assert modules[2].norm.num_batches_tracked == 10
        assert modules[2].head.weight is modules[2].embedding.weight

    @pytest.mark.parametrize(
        ("options", "module"),
        [
            ({"fingerprint": "other data"}, {}),
            ({"seed": 4}, {}),
            ({"weights": {"number": 1.0}}, {}),
            ({"rates": {"head.*": 2.0}}, {}),
            ({"schedule": dataclasses.replace(target.SCHEDULE, learning_rate=0.03)}, {}),
            ({}, {"width": 8}),
        ],
    )
    def test_checkpoint_of_another_training(
        self, options: dict[str, Any], module: dict[str, Any], tmp_path: Path
    ) -> None:
        settings = {"seed": 3, "weights": {}, "validate": target.validate, "schedule": target.SCHEDULE}
        path = tmp_path / "fit.nk"

        def fit(module: nn.Module, **changed: Any) -> History:
            given = settings | changed
            return train(module, target.batches, given.pop("schedule"), checkpoint=path, **given)

        fit(target.small(), schedule=dataclasses.replace(target.SCHEDULE))
        before = contents(tmp_path)
        with pytest.raises(ModelError, match=r"fit\.nk is the checkpoint of a fit with other data"):
            fit(target.small(**module), **options)
        assert contents(tmp_path) == before
        fit(
            target.small(), schedule=dataclasses.replace(target.SCHEDULE, checkpoint_every=7)
        )  # the same answer

    @pytest.mark.parametrize("name", ["state.safetensors", "manifest.json"])
    def test_damaged(self, name: str, tmp_path: Path) -> None:
        target.run(tmp_path / "fit.nk")
        file = tmp_path / "fit.nk" / name
        file.write_bytes(file.read_bytes()[:-100])
        before = contents(tmp_path)
        with pytest.raises(ArtefactError, match=name.replace(".", r"\.")):
            target.run(tmp_path / "fit.nk")
        assert contents(tmp_path) == before

    def test_something_else_in_the_way(self, tmp_path: Path) -> None:
        artefact.write(tmp_path / "fit.nk", kind="dataset", trees={"a": xr.Dataset({"b": 1.0})})
        (tmp_path / "file.nk").write_text("mine")
        before = contents(tmp_path)
        for name in ("fit.nk", "file.nk"):
            with pytest.raises(ArtefactError, match=name):
                target.run(tmp_path / name)
        assert contents(tmp_path) == before

    @pytest.mark.parametrize("path", ["fit", "nowhere/fit.nk"])
    def test_a_bad_path_is_known_at_once(self, path: str, tmp_path: Path) -> None:
        with pytest.raises(ArtefactError, match=path):
            target.run(tmp_path / path, make=target.interrupted(0))


class TestRefused:
    """What is no number, no term, no device."""

    def test_loss_that_is_not_finite(self) -> None:
        def make(step: int, rank: int, world: int) -> dict[str, Tensor]:
            batch = target.batches(step, rank, world)
            if step == 6:
                batch["symbols"][0, 0] = 1
                batch["number"][0] = 1e30
            return batch

        module = target.small()
        message = r"fish: the loss is not finite at step 6; the term is number\. Lower learning_rate"
        with pytest.raises(ModelError, match=message):
            train(module, make, dataclasses.replace(target.SCHEDULE, validate_every=0), seed=0, who="fish")
        assert all(parameter.isfinite().all() for parameter in module.parameters())

    def test_gradient_that_is_not_finite(self) -> None:
        class Root(Numbers):
            def forward(self, batch: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
                return {"root": (self.number.abs().sqrt(), torch.tensor(1))}

        module = Root()
        with pytest.raises(ModelError, match="the gradient is not finite at step 0; the loss is 0"):
            train(module, ones, Schedule(steps=3), seed=0)
        assert module.number.item() == 0.0

    def test_unknown_weight(self) -> None:
        with pytest.raises(
            ModelError, match=r"weights names \['cube'\], and the terms of the loss are \['square'\]"
        ):
            train(Numbers(), ones, Schedule(steps=3), seed=0, weights={"cube": 2.0})

    def test_terms_that_come_and_go(self) -> None:
        class Fickle(Numbers):
            def forward(self, batch: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
                square = super().forward(batch)
                return square | ({"more": square["square"]} if self.number > 0 else {})

        with pytest.raises(
            ModelError, match=r"are \['square', 'more'\] at step 1 and were \['square'\] before"
        ):
            train(Fickle(), ones, Schedule(steps=3), seed=0)

    @pytest.mark.parametrize(
        ("accelerator", "precision"), [("cpu", "16-mixed"), ("cpu", "7-bit"), ("abacus", "32-true")]
    )
    def test_devices_that_cannot_be_had(self, accelerator: str, precision: str) -> None:
        with pytest.raises(ModelError, match=rf"fish: .*'{precision}'"):
            train(
                Numbers(),
                ones,
                Schedule(steps=3, precision=precision),
                seed=0,
                accelerator=accelerator,
                who="fish",
            )


@pytest.fixture(scope="module")
def warm() -> Iterator[Zygote]:
    with Zygote(f"{TARGET}:main") as zygote:
        yield zygote


class TestProcesses:
    """Processes that are killed, and two that train together."""

    def test_killed_at_random_moments(self, warm: Zygote, tmp_path: Path) -> None:
        path, result = tmp_path / "fit.nk", tmp_path / "done.nk"
        first = warm.run("saved", str(tmp_path / "whole.nk"), str(tmp_path / "expected.nk"))
        assert first.error == ""
        whole = artefact.read(tmp_path / "whole.nk").file("state.safetensors").read_bytes()
        expected = History.from_dataset(artefact.read(tmp_path / "expected.nk").dataset("history"))
        rng, kills, before, reached, ends = np.random.default_rng(0), 0, 0, set(), 0
        while kills < 6 or not ends:
            # By the clock, and as often before a step of the file system, where most is at stake.
            when = {"kill_after": float(rng.uniform(0.1, 0.7) * first.seconds)}
            if kills % 2:
                when = {"kill_at": int(rng.integers(30))}
            outcome = warm.run("saved", str(path), str(result), **(when if kills < 6 else {}))
            assert outcome.error == ""
            kills += outcome.killed
            if outcome.killed:
                # Between two renames there is none; the next run brings the one put aside back.
                done = artefact.read(path).config["steps"] if path.exists() else before
                assert done >= before
                before = done
                reached.add(done)
                continue
            assert_same(History.from_dataset(artefact.read(result).dataset("history")), expected)
            assert artefact.read(path).file("state.safetensors").read_bytes() == whole
            shutil.rmtree(path)
            ends, before = ends + 1, 0
        assert len(reached) >= 2

    @staticmethod
    def as_one_process(folder: Path) -> None:
        """Compare what two processes left behind with a training here."""
        module, history = target.run()
        done = artefact.read(folder / "done.nk")
        whole, resumed = (History.from_dataset(done.dataset(name)) for name in ("whole", "resumed"))
        assert_same(resumed, whole)
        np.testing.assert_array_equal(whole.tokens, history.tokens)
        np.testing.assert_array_equal(whole.learning_rate, history.learning_rate)
        np.testing.assert_allclose(whole.loss, history.loss, rtol=1e-5)
        np.testing.assert_allclose(whole.validation, history.validation, rtol=1e-5)
        for name, values in history.terms.items():
            np.testing.assert_allclose(whole.terms[name], values, rtol=1e-5)
        # One process takes over their checkpoint, finished as it is.
        again, same = target.run(folder / "fit.nk", make=target.interrupted(0))
        assert_same(same, whole)
        for one, other in zip(again.parameters(), module.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)

    def test_two_are_as_one(self, warm: Zygote, tmp_path: Path) -> None:
        assert warm.run("pair", str(tmp_path)).error == ""
        self.as_one_process(tmp_path)

    @pytest.mark.slow
    def test_under_torchrun(self, tmp_path: Path) -> None:
        command = [
            "-m",
            "torch.distributed.run",
            "--nproc-per-node",
            "2",
            str(TARGET),
            "shared",
            str(tmp_path),
        ]
        child = subprocess.run(
            [sys.executable, "-W", "error", *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert child.returncode == 0, child.stderr
        assert "arning" not in child.stderr
        self.as_one_process(tmp_path)
