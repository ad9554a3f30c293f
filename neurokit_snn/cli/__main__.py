"""``python -m neurokit_snn.cli`` is ``neurokit-snn``."""

from neurokit_snn.cli import app

app(prog_name="neurokit-snn")
