"""`python -m netwright` is the `netwright` command."""

from __future__ import annotations

from netwright.cli import main

if __name__ == "__main__":
    main()
