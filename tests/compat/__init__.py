"""`make compat`: the oldest Kubernetes that the README names serves what operator, chart and people need."""
