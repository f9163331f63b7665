"""Shared by all HTTP clients: egress rules, Retry-After, and a single-flight cache."""
