"""Certificates in a bucket that speaks S3: of AWS, or of another store.

    reader.py       the source itself: which store, and whether it may be read
    connections.py  one connection for each store, for as long as its spec and credentials last
    connection.py   the two calls, GET and LIST, and what comes of them
    outage.py       nobody waits for a server that is known to be away
    client.py       an aiobotocore client that reads nothing of its surroundings
    transport.py    one HTTP request: bounded, never redirected, never past the egress policy
    answers.py      from what a server answered to a reason and what to do
    page.py         one page of a LIST
    access.py       where requests go, with whose credentials, and who may use the operator's own

aiobotocore is imported when the first store is read, for it takes 25 MB that an operator without stores need not pay.
"""

from clientcert.sources.s3.reader import S3Reader

__all__ = ["S3Reader"]
