"""The one work queue of all kinds."""
