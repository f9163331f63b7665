"""One reconciler for each kind, and the engine that runs them."""
