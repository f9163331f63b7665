"""Thin kopf handlers, and what is special about our use of kopf."""
