"""Neuroformer: a generative transformer of spikes and behaviour (Antoniades et al. 2024, arXiv:2311.00136).

Its modules import torch at their top: with `neurokit_snn.torchloop` it needs the extra ``torch`` as a whole. Only
`neurokit_snn.models.registry` names it, so that nothing imports it before it is asked for.
"""

from neurokit_snn._extras import require

require("torch", extra="torch")
