"""MM-GPVAE: shared and private Gaussian-process latents of neural activity and behaviour."""
