"""Channels that are an HTTP call."""
