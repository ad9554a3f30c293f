"""Spiking networks as models of recordings: `SpikingEncoder`, `SpikingDecoder`, and what they are made of.

Its modules import torch at their top: with `neurokit_snn.snn` and `neurokit_snn.torchloop` it needs the extra ``torch`` as a
whole. Only `neurokit_snn.models.registry` names it, so that nothing imports it before it is asked for.
"""

from neurokit_snn._extras import require

require("torch", extra="torch")
