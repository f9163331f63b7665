"""`make demo`: the product's main job, seen end to end on this machine, explained step by step.

Everything in it is real but the people: a Kubernetes API server, an S3 server, the operator under its own
ServiceAccount, a server that speaks Slack, and one that takes mail. Each step asserts what it shows, by asking these
servers until they say so; the exit code is 0 only if all of it was seen.
"""
