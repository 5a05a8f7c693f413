"""An Arduino library: put the folder among the sketchbook's `libraries`, open its example."""

from __future__ import annotations

import netwright

from ..package import Package
from .cmake import fill, readme

ABOUT = "an Arduino library with an example sketch"
# Arduino builds with -Os and offers libraries no flags; the kernels are made for -O2
_OPTIMISE = """#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O2,fp-contract=off")
#endif
"""


def files(package: Package) -> dict[str, str]:
    """Path -> text of the library. Kernels lie in a folder of their own, where no sketch includes them by chance."""
    name, title = package.name, package.title
    made = {f"src/{name}.h": package.header}
    for file, text in package.sources.items():
        made[f"src/{name}_network/{file}"] = f"{_OPTIMISE}{text}" if file == f"{name}.c" else text
    made["library.properties"] = _properties(package)
    made["keywords.txt"] = _keywords(package)
    made[f"examples/{title}/{title}.ino"] = _sketch(package)
    how = f"""Put this folder among the `libraries` of your sketchbook (or `arduino-cli lib install --zip-path`), then
open File > Examples > {title}."""
    made["README.md"] = readme(package, how)
    return made


def _properties(package: Package) -> str:
    figures = "; ".join(f"{what} {figure}" for what, figure in package.figures)
    return f"""name={package.title}
version={netwright.__version__}
author=netwright
maintainer=netwright
sentence=The neural network {package.name} as C, without heap or interpreter.
paragraph=Measured on {package.device}: {figures}.
category=Data Processing
url=https://www.apache.org/licenses/LICENSE-2.0
architectures=*
includes={package.name}.h
"""


def _keywords(package: Package) -> str:
    name, entry = package.name, package.entry
    calls = [f"{name}_{end}" for end in ("init", "input", "output", entry)]
    calls += [f"{name}_{entry}_{end}" for end in ("input", "output", "reset")]
    return "".join(f"{call}\tKEYWORD2\n" for call in calls)


def _sketch(package: Package) -> str:
    name = package.name
    return f"""// One run of {name} a second on made-up data; prints every output.
#include <{name}.h>

void setup() {{
    Serial.begin(115200);
    {name}_init();
}}

void loop() {{
    {fill(package).replace(f" = {name}_input()", f" = ({package.input_ctype} *){name}_input()")}
    const unsigned long start = micros();
    {name}_{package.entry}();
    const unsigned long taken = micros() - start;
    const {package.output_ctype} *y = (const {package.output_ctype} *){name}_output();
    for (int i = 0; i < {package.output_count}; i++) {{
        Serial.print(i);
        Serial.print(": ");
        Serial.println({package.shown("y[i]")});
    }}
    Serial.print(taken);
    Serial.println(" us");
    delay(1000);
}}
"""
