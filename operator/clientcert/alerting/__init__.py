"""Delivery of alerts: selection, grouping, rate limits, the fallback channel, retries, and the outbox."""
