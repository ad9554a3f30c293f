"""Runnable simulations; each writes a recording."""
