"""The wheel holds everything that is imported and nothing else, and works where only its dependencies are."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _run(*command: str | Path, cwd: Path) -> str:
    child = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stdout[-2000:] + child.stderr[-4000:]
    return child.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline with the hatchling that is installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def _python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def clean_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel in it, and of this environment only the dependencies.

    They come through a path file; path files that lie where it points are not read, so that the editable
    install of the checkout, which is one of them, cannot stand in for the wheel.
    """
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=False)
    python = _python_of(folder)
    site = Path(
        _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    )
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_wheel_holds_the_package_and_its_data_files(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = ROOT / "neurokit_snn"
    wanted = {
        str(path.relative_to(ROOT))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    assert {name for name in names if ".dist-info/" not in name} == wanted
    assert {"neurokit_snn/py.typed", "neurokit_snn/__init__.pyi", "neurokit_snn/plot/house.mplstyle"} <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_wheel_works_in_a_clean_environment(wheel, clean_python, tmp_path):
    code = (
        "import json, neurokit_snn as nk\n"
        "tree = nk.recording.build(spikes={3: [0.1, 0.2], 5: [0.15]})\n"
        "binned = nk.recording.bin(tree, 0.1, start=0.0, stop=0.5)\n"
        "nk.save(tree, 'tiny.nk')\n"
        "units = nk.load('tiny.nk')['units'].sizes['unit']\n"
        "print(json.dumps([nk.__file__, nk.__version__, int(binned['counts'].sum()), units]))"
    )
    file, version, spikes, units = json.loads(
        _run(clean_python, "-I", "-c", code, cwd=tmp_path).splitlines()[-1]
    )
    assert Path(file).is_relative_to(clean_python.parent.parent)
    assert f"-{version}-" in wheel.name
    assert (spikes, units) == (3, 2)


def test_the_embedded_dataset_needs_no_file(clean_python, tmp_path):
    code = "import neurokit_snn as nk; print(nk.catalog.open('digits-multimodal').attrs['licence'])"
    assert _run(clean_python, "-I", "-c", code, cwd=tmp_path).strip()


def test_console_script_is_declared(wheel, clean_python, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "neurokit-snn = neurokit_snn.cli:app" in archive.read(name).decode()
    code = "from neurokit_snn.cli import app; app(['--help'])"
    assert "doctor" in _run(clean_python, "-I", "-c", code, cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_wheel_installs_with_its_core_dependencies_alone(wheel, tmp_path):
    """Really clean: pip resolves the core, and no extra is there."""
    venv.create(tmp_path / "env", with_pip=True)
    python = _python_of(tmp_path / "env")
    _run(python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    code = (
        "import importlib.util, neurokit_snn as nk\n"
        "assert importlib.util.find_spec('torch') is None and importlib.util.find_spec('jax') is None\n"
        "tree = nk.catalog.open('digits-multimodal')\n"
        "data = nk.recording.bin_trials(tree, 0.1)\n"
        "model = nk.MeanRate().fit(data)\n"
        "print(model.predict(data, task='encode')['rate'].shape)\n"
        "try:\n"
        "    nk.GLM().fit(data)\n"
        "except nk.errors.MissingExtraError as error:\n"
        "    print(error)\n"
    )
    said = _run(python, "-I", "-c", code, cwd=tmp_path)
    assert 'pip install "neurokit_snn[glm]"' in said
