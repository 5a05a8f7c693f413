"""A compiled program as a library of somebody's project.

    package = Package.of(program)                 # what any CMake, Arduino or Zephyr project needs of it
    write(package, "arduino", "KeywordLibrary")   # a folder to drop in

`formats/` holds one file a build system: `ABOUT`, and `files(package)`, which gives path -> text. All of them carry the
program's own C unchanged, its C API (`<name>_init`, `_input`, `_infer`, `_output`), an example, the licence and a
README.
"""

from __future__ import annotations

from .package import Package
from .write import MARK, formats, write

__all__ = ["MARK", "Package", "formats", "write"]
