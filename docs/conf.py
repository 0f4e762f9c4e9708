"""Sphinx configuration of the site; ``make docs`` builds it, and a warning is an error.

Pages of the reference are written at build from the declarations in the code
(``scripts/site_reference.py``), the gallery from ``examples/``. Nothing is fetched, neither by the
build nor by a reader: fonts are the system's, scripts and styles lie beside the pages.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "src")]

import site_gallery  # noqa: E402
import site_reference  # noqa: E402

import falx  # noqa: E402

project = "Falx"
author = "The Falx developers"
copyright = "The Falx developers, BSD-3-Clause"  # noqa: A001 - the name that Sphinx reads
version = release = falx.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = [
    "_build", "gallery/*.ipynb", "gallery/*.py", "**/sg_execution_times.rst",
    "sg_execution_times.rst",
]  # fmt: skip
suppress_warnings = ["config.cache"]
highlight_language = "text"
language = "en_GB"

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

autodoc_typehints = "none"  # numpydoc prints what the docstring says
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

SCRIPTS = HERE / "_build" / "examples"
shutil.rmtree(SCRIPTS, ignore_errors=True)
shutil.copytree(ROOT / "examples", SCRIPTS, ignore=shutil.ignore_patterns("__pycache__"))
sphinx_gallery_conf = {
    "examples_dirs": [str(SCRIPTS)],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"\.py$",
    "abort_on_example_error": True,
    "image_scrapers": (site_gallery.SavedPictures(),),
    "capture_repr": ("__repr__",),
    "reset_modules": ("matplotlib",),
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "min_reported_time": 0,
    "within_subsection_order": site_gallery.InOrder,
    "copyfile_regex": "",
    "notebook_extensions": set(),
    "thumbnail_size": (400, 280),
}

html_theme = "pydata_sphinx_theme"
html_title = f"Falx {release}"
html_static_path = ["_static"]
html_css_files = ["falx.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options: dict[str, Any] = {
    "logo": {"text": "Falx"},
    "navbar_align": "left",
    "show_toc_level": 2,
    "show_prev_next": True,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 6,
}


def setup(app: Any) -> None:
    """Write the generated pages before Sphinx looks for sources."""
    app.connect("builder-inited", lambda _: site_reference.write_pages(HERE / "reference"))
