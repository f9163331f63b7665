"""Measures the goals, each against a peer, with one command: `make bench`, or `python -m bench P4 --size 10000`.

Each goal is measured on a real kube-apiserver (and a real S3 server) of this machine, with the operator as a process
under its own ServiceAccount. A peer is measured in the same run, on the same data. `measures/` holds one module for
each goal, whose docstring defines the beginning and the end of the measured interval; the other modules are shared.
"""
