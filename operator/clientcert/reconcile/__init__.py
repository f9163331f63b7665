"""The engine: what is remembered, when it is looked at, and the straight line of one look."""
