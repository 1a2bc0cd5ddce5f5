"""Configuration of the site that scripts/docs builds from these pages."""

import logging

# Before the colours of code samples are imported, which would make every library log to stderr.
logging.basicConfig(level=logging.WARNING)

project = "Disrupt"
root_doc = "index"
exclude_patterns = ["_sphinx"]
extensions = [
    "myst_parser",
    "docs._sphinx.contents",
    "docs._sphinx.reference",
    "docs._sphinx.self_contained",
]

myst_heading_anchors = 6  # as GitHub gives them to headings

html_theme = "furo"
html_title = "Disrupt"
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
smartquotes = False  # options begin with two hyphens
