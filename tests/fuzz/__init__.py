"""Searches for unforeseen inputs for a limited time: `make fuzz`.

`target.py` is what is called with each input, by atheris, which keeps whatever reaches new code; `seeds.py` is what it
starts from; `structure.py` is how it changes an input so that most of it stays well-formed. `__main__.py` runs it all.
"""
