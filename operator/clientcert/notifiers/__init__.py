"""Delivery of messages: one interface, and an adapter for each type of channel."""
