"""Searches for unforeseen inputs for a limited time: `make fuzz`.

`target.py` has the functions that atheris calls with each input, `seeds.py` the first inputs, and `structure.py` the
mutations that keep most of an input well-formed. atheris keeps every input that reaches new code. `__main__.py` runs
it.
"""
