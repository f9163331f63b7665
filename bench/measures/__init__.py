"""One module a goal. Each has a `measure(scene)`, and says what its figure is, from where to where, in which unit."""
