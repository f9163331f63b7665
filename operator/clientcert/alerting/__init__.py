"""Alerts on their way: what is due becomes messages, grouped, paced, retried and recorded."""
