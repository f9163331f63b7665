"""What is said, in words. Pure: no I/O, no clock."""
