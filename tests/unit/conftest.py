"""Properties are tried with a hundred examples, and with a thousand by `make fuzz` (`--hypothesis-profile=long`)."""

from hypothesis import HealthCheck, settings

settings.register_profile("long", max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
