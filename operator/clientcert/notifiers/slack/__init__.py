"""Slack: channels, direct messages, and the user directory."""
