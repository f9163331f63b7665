"""Decisions about renewals and revocations, and their values. Pure, as all of `lifecycle`."""
