"""Multi-modal Gaussian-process variational autoencoder: shared and private latents of neural data and behaviour."""

import os

from neurokit_snn._extras import require

# XLA gives its CPU pool a thread a core. On a machine of two cores batched factorisations that wait for each other inside one
# compiled call have been seen to hang for ever; with more threads than that they were not. JAX reads this when it first computes.
if (os.cpu_count() or 1) < 8:
    os.environ.setdefault("PJRT_NPROC", "8")

for _module in ("jax", "numpyro", "equinox", "optax"):
    require(_module, extra="bayes")
