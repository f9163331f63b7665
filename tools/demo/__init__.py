"""`make demo`: the product's main job, shown end to end on this machine, and explained step by step.

Everything except the people is real: a Kubernetes API server, an S3 server, the operator under its own ServiceAccount,
a server with Slack's API, and a mail server. Each step polls these servers until it finds what it shows; the exit code
is 0 only if everything was found.
"""
