"""`make demo`: the product's main job, seen end to end on this machine, explained step by step.

Everything in it is real but the people: a Kubernetes API server, an S3 server, the operator under its own
ServiceAccount, and a server that speaks Slack. Each step asserts what it shows, by asking the API server and the Slack
server until they say so; the exit code is 0 only if all of it was seen.
"""
