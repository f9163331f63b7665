"""IDs of the members of a Slack workspace."""

import re

_MEMBER_ID = re.compile(r"[UW][A-Z0-9]{2,31}")


def is_member_id(text: str) -> bool:
    """True if `text` is the ID of a person; IDs of channels and mentions are not."""
    return _MEMBER_ID.fullmatch(text) is not None
