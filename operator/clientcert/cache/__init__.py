"""Caches of the objects in the API server, and of the sources and contacts that they refer to."""
