"""Pure X.509: reads certificates in every supported format, with bounds, dates first. No I/O, no decisions.

It imports nothing: the subprocess that opens a container would wait for it.
"""
