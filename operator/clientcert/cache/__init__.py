"""What the operator knows of the objects in the API server."""
