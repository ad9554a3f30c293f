"""Multi-modal Gaussian-process variational autoencoder: shared and private latents of neural data and behaviour."""

from neurokit_snn._extras import require

for _module in ("jax", "numpyro", "equinox", "optax"):
    require(_module, extra="bayes")
