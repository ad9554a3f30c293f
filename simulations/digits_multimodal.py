"""Simulate the multi-modal digits and save the recording.

``python -m simulations.digits_multimodal --out out/digits.nk --seed 0 --trials 300``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import neurokit_snn as nk
from neurokit_snn.catalog.digits_multimodal import DigitsConfig, simulate


def main(words: Sequence[str] | None = None) -> int:
    """Simulate, save, and say what was made."""
    defaults = DigitsConfig()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("out/digits-multimodal.nk"), help="artefact to write"
    )
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--trials", type=int, default=defaults.trials)
    parser.add_argument("--units", type=int, default=defaults.units)
    parser.add_argument(
        "--mean-count", type=float, default=defaults.mean_count, help="spikes of a unit in a bin"
    )
    parser.add_argument(
        "--unrelated", action="store_true", help="turn the digit by a latent that drives no unit"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what stands at --out")
    options = parser.parse_args(words)
    recording = simulate(
        DigitsConfig(
            seed=options.seed,
            trials=options.trials,
            units=options.units,
            mean_count=options.mean_count,
            related=not options.unrelated,
        )
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    nk.save(recording, options.out, overwrite=options.overwrite)
    n_spikes = recording["spikes"].sizes["spike"]
    print(f"{options.out}: {options.trials} trials, {options.units} units, {n_spikes} spikes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
