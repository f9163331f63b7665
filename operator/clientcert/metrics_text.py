"""Prometheus' text format, for series that are written without a client library."""


def header(name: str, words: str) -> str:
    """The lines that begin a family of gauges."""
    return f"# HELP {name} {words}\n# TYPE {name} gauge\n"


def escape(value: str) -> str:
    """The value of a label, for between double quotes."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
