"""Calls to the API server: a thin client, the metadata watch of Secrets, status patches, Events."""
