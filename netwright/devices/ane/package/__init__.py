"""ML Program packages (`.mlpackage`): in, from any maker, and out, through Core ML tools (extra `ane`), on any machine.

    package = read_package("model.mlpackage")           # a Program, and the folder of its weight files
    prepare(package.program, package.folder).run({"x": x})
    write_package(program, "build", "out.mlpackage")    # one weight.bin with every BLOBFILE of the program

A package is a manifest, a protobuf with the program, and `weight.bin` in the layout of `ane.weights`.
"""

from __future__ import annotations

from .read import Package, read_package
from .write import write_package

__all__ = ["Package", "read_package", "write_package"]
