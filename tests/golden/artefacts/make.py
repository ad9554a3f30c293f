"""Write the golden artefacts of a new version, where there are none yet.

python tests/golden/artefacts/make.py vN
"""

from __future__ import annotations

import sys
from pathlib import Path

from contents import CONTENTS

import neurokit_snn as nk

if __name__ == "__main__":
    folder = Path(__file__).parent / sys.argv[1]
    folder.mkdir()
    for name, make in CONTENTS.items():
        nk.save(make(), folder / f"{name}.nk")
