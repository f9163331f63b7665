"""Certificates in an S3 bucket, of AWS or of another S3 server.

    reader.py           the source itself
    writer.py           writes a renewed certificate back to it
    calls.py            finds the store, checks that it may be used, and calls it
    connections.py      one connection for each store that is in use or was lately
    limits.py           what the requests of all stores share
    connection.py       the calls GET, LIST and PUT, and their errors
    circuit_breaker.py  fails calls at once while a server does not answer
    client.py           an aiobotocore client that ignores files, variables and profiles of the machine
    transport.py        one HTTP request: bounded, never redirected, checked by the egress policy
    errors.py           maps the errors of a server to a reason and to advice
    page.py             one page of a LIST
    address.py          the server to call, and where in a URL the bucket stands
    access.py           credentials, and the use of the operator's own identity

aiobotocore takes 25 MB; it is imported when the first store is read, so an operator without stores does not load it.
"""

from clientcert.sources.s3.reader import S3Reader
from clientcert.sources.s3.writer import S3Writer

__all__ = ["S3Reader", "S3Writer"]
