"""Sphinx: the site that `make docs` builds, by scripts/site.py."""

import logging

import sunup

logging.getLogger("alembic").setLevel(logging.WARNING)

project = "sunup"
author = "the sunup authors"
release = sunup.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
myst_heading_anchors = 3
myst_enable_extensions = ["smartquotes"]

default_role = "code"  # docstrings have `names` in single backticks
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
# Of benchmarks, which are made by a program, and of Terraform that Pygments does not know whole.
suppress_warnings = ["myst.header", "misc.highlighting_failure"]

html_show_copyright = False
html_theme = "furo"
html_title = "sunup"
html_favicon = html_logo = "sunup.svg"
html_static_path: list[str] = []
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#b45309",
        "color-brand-content": "#b45309",
        "code-font-size": "0.75rem",  # the lines of a terminal, on one line
    },
    "dark_css_variables": {"color-brand-primary": "#fbbf24", "color-brand-content": "#fbbf24"},
}
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
