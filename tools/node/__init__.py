"""A real node of Kubernetes without Docker, for `make node`: the image in pods, as the chart installs it.

`python -m tools.node` builds the programs and the image, and then runs the tests of `tests/node` in network, mount and
process namespaces of their own. In these, `Node` starts the API server, controllers, scheduler, containerd and kubelet.
Nothing is installed on the machine, and the node reaches no network.
"""
