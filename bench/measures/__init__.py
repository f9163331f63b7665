"""One module for each goal, with `measure(scene)`; its docstring defines the figure, its interval and its unit."""
