"""Renders what is made from the Helm chart: the kustomizations, `install.yaml`, and the page of the chart's values.

It also writes the version of the operator into the kinds.
"""
