"""Figures of papers: the experiment, its claims and its picture, one file each."""
