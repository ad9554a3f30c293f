"""Configuration files: what is read, and that what is wrong is named."""

from __future__ import annotations

import dataclasses

import pytest

from neurokit_snn import config
from neurokit_snn.errors import ConfigError

WHOLE = """
[data]
bin_width = 1
layout = "laps"
behavior = ["position", "speed"]

[split]
folds = 4
gap = 0.5

[compare]
task = "decode"
seeds = [3, 4]
baselines = false

[models.place]
class = "GLM"
covariates = ["position"]
strength = 1.0
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "run.toml"
        path.write_text(text)
        return path

    return write


def test_every_table_is_read(written):
    read = config.load(written(WHOLE))
    assert (read.data.bin_width, type(read.data.bin_width)) == (1.0, float)
    assert read.data.behavior == ("position", "speed")
    assert (read.split.folds, read.split.gap) == (4, 0.5)
    assert (read.compare.task, read.compare.seeds, read.compare.baselines) == ("decode", (3, 4), False)
    assert read.models["place"].class_name == "GLM"
    assert read.models["place"].options == {"covariates": ["position"], "strength": 1.0}


def test_what_is_not_written_keeps_its_default(written):
    assert config.load(written("")) == config.Config()


@pytest.mark.parametrize(
    "cls", [config.DataConfig, config.SplitConfig, config.CompareConfig, config.ModelConfig]
)
def test_settings_cannot_be_changed_after_reading(cls):
    made = cls(class_name="GLM") if cls is config.ModelConfig else cls()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, dataclasses.fields(cls)[0].name, 1)


@pytest.mark.parametrize("cls", [config.DataConfig, config.SplitConfig, config.CompareConfig])
def test_defaults_pass_their_own_check(cls):
    values = {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(cls()).items()}
    known = {name: value for name, value in values.items() if value is not None}
    assert config.from_mapping(cls, known, where="defaults") == cls()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[data]\nbinwidth = 1.0", r"\[data\]: unknown key 'binwidth'; did you mean 'bin_width'"),
        ("[dta]\n", "unknown key 'dta'; did you mean 'data'"),
        ("[split]\nzzz = 1", "unknown key 'zzz'; known are folds, gap, kind"),
        ("[data]\nbin_width = 'fast'", "bin_width must be a number, it is 'fast'"),
        ("[split]\nfolds = 2.5", "folds must be a whole number, it is 2.5"),
        ("[split]\nfolds = true", "folds must be a whole number, it is True"),
        ("[compare]\nseeds = [0, 'a']", r"seeds\[1\] must be a whole number, it is 'a'"),
        ("[compare]\nseeds = 3", "seeds must be a list of a whole number, it is 3"),
        ("[compare]\nbaselines = 1", "baselines must be true or false, it is 1"),
        ("[models.a]\nsplines = 3", r"\[models.a\]: needs class = "),
        ("models = 3", r"models must be a table, written \[models\]"),
        ("[data", "not a TOML file"),
    ],
)
def test_what_is_wrong_is_named(written, text, message):
    with pytest.raises(ConfigError, match=message) as error:
        config.load(written(text))
    assert "run.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        config.load(tmp_path / "none.toml")
