"""The population with many fields: rates, fields and behaviour are what was asked for."""

from __future__ import annotations

import numpy as np
import pytest

import neurokit_snn as nk
from neurokit_snn.errors import ConfigError
from neurokit_snn.testing import assert_recordings_equal
from simulations.many_fields import FieldsConfig, main, simulate


def test_the_same_seed_gives_the_same_bits() -> None:
    """And another one another recording."""
    small = {"units": 5, "duration": 10.0}
    tree = simulate(FieldsConfig(**small))
    nk.recording.validate(tree)
    assert_recordings_equal(tree, simulate(FieldsConfig(**small)))
    other = simulate(FieldsConfig(**small, seed=1))
    assert not np.array_equal(other["truth"]["centre"], tree["truth"]["centre"])
    assert not np.array_equal(other["behavior/x"]["value"], tree["behavior/x"]["value"])


def test_rates_are_those_of_the_fields() -> None:
    """Spikes counted where the behaviour is near a field, between fields, and in all, against the equation."""
    config = FieldsConfig(units=6, fields=2, width=0.1, peak=6.0, base=0.5, duration=2000.0, tau=0.5, seed=3)
    tree = simulate(config)
    data = nk.recording.bin(tree, config.step)
    counts, x = data["counts"].values[0], data["behavior_x"].values[0]
    np.testing.assert_allclose(np.quantile(x, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.05)
    centre = tree["truth"]["centre"].values
    assert len(np.unique(centre.round(9), return_counts=True)[0]) == 6
    rate = config.base + config.peak * np.exp(-0.5 * ((x[:, None, None] - centre) / config.width) ** 2).sum(
        -1
    )
    expected = -np.expm1(-rate * config.step)
    for unit in range(6):
        near = np.abs(x[:, None] - centre[unit]).min(1) < config.width
        for where in (near, ~near):
            assert counts[where, unit].sum() == pytest.approx(
                expected[where, unit].sum(), abs=4 * np.sqrt(expected[where, unit].sum())
            )


def test_the_command_writes_a_recording(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says what is in it."""
    out = tmp_path / "new" / "fields.nk"
    assert main(["--out", str(out), "--units", "4", "--duration", "5", "--seed", "2"]) == 0
    assert_recordings_equal(nk.load(out), simulate(FieldsConfig(units=4, duration=5.0, seed=2)))
    assert "5 s, 4 units" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("field", "value"), [("units", 0), ("width", 0.0), ("base", -1.0), ("seed", -1), ("duration", 0.001)]
)
def test_bad_parameters(field: str, value: float) -> None:
    """The field and its value are named."""
    with pytest.raises(ConfigError, match=rf"FieldsConfig\.{field} is {value}"):
        FieldsConfig(**{field: value})
