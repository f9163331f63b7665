"""What all HTTP clients share: egress rules, Retry-After, single flight."""
