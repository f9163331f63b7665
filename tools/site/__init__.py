"""The site of the documentation, built by Zensical from the pages of this repository.

`python -m tools.site build/site/pages` lays the pages out for it (`zensical.toml` has the order): those of `docs/` as
they are, the README as the first one, and those that are made of the kinds and of the program.
"""
