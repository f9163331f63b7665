"""A reconciler for each kind of item in the work queue, and the engine that runs them.

A new kind is a reconciler here (the protocol is in `workers.py`) and one entry in `app.assemble`.
"""
