"""Lay out all pages in a new directory."""

import sys
from pathlib import Path

from tools.site.layout import lay_out


def main() -> None:
    lay_out(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
