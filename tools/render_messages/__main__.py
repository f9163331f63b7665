"""`python -m tools.render_messages`: writes docs/messages.md, with every message as its reader sees it."""

from tools.render_messages.examples import REPOSITORY
from tools.render_messages.page import page

(REPOSITORY / "docs/messages.md").write_text(page(), encoding="utf-8")
