"""Thin kopf handlers, and the specifics of our use of kopf."""
