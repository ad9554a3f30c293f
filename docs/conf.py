"""Sphinx: MyST pages, executed where they hold code, and the API from the docstrings."""

from __future__ import annotations

import neurokit_snn

project = "neurokit_snn"
author = "neurokit_snn developers"
project_copyright = "2026, neurokit_snn developers"
release = neurokit_snn.__version__
version = release

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
]
exclude_patterns = ["_build", "api/*.rst.txt"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
# Every page with code cells runs from nothing, so that what it shows is what the package does today.
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_output_stderr = "remove"  # progress bars

autosummary_generate = True
autodoc_typehints = "signature"  # the docstring says shapes and units
autodoc_typehints_format = "short"
maximum_signature_line_length = 88
default_role = "py:obj"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = "neurokit_snn"
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {page: [] for page in ("quickstart", "schema", "architecture")}
html_show_sourcelink = False
