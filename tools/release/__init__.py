"""The content of a release: image, chart, wheel, and the list of the image's contents.

The workflow of a release and `make release-dry-run` run the same steps (`publishing.py`): the one against the registry
of the project, the other against a registry on loopback. Only signatures are made by the workflow alone.
"""
