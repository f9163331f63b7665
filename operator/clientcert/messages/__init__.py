"""The texts of messages and letters. Pure: no I/O, no clock."""
