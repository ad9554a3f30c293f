"""Lab analyses over the library, one file each: ``python -m analysis.NAME``."""
