"""Adapters: who signs. Each keeps to `interface.py`."""
