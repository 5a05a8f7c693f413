"""Names: what is bound by alphabetical order, and what must exist."""

from __future__ import annotations

from .rule import COMPILE, ORION, WRONG, Found, Sight, rule


@rule("R3", "program", WRONG, "outputs are bound in the alphabetical order of the names of their variables",
      "choose names whose alphabetical order is the wanted one, or bind by sorted name", ORION)
def output_order(sight: Sight) -> Found:
    outputs = list(sight.function.outputs)
    if outputs != sorted(outputs):
        yield "outputs", f"returned as {', '.join(outputs)}, bound as {', '.join(sorted(outputs))}"


@rule("R13", "program", WRONG, "inputs are bound in the alphabetical order of their names",
      "choose names whose alphabetical order is the wanted one, or bind by sorted name", ORION)
def input_order(sight: Sight) -> Found:
    inputs = [v.name for v in sight.function.inputs]
    if inputs != sorted(inputs):
        yield "inputs", f"declared as {', '.join(inputs)}, bound as {', '.join(sorted(inputs))}"


@rule("R17", "program", COMPILE, "every returned name must be a value of the program",
      "rename the reference when a node is removed", ORION)
def dead_output(sight: Sight) -> Found:
    for name in sight.function.outputs:
        if name not in sight.types:
            yield name, "returned, but nothing makes it"


@rule("F1", "program", WRONG, "a weight's gradient has the weight's own shape [out, in]",
      "dW = dy x^T; transpose the result, or exchange the operands of the product",
      "Orion 2026, section 12 and pitfalls (b): the published loop adds [in, out] to [out, in]")
def transposed_gradient(sight: Sight) -> Found:
    plain = {name.lower().replace("_", ""): type for name, type in sight.types.items()}
    for variable in sight.outputs:
        name = variable.name.lower().replace("_", "")
        weight = plain.get(name[1:]) if name.startswith("d") else None
        if weight is None:
            continue
        own, other = ([n for n in t.shape if n != 1] for t in (variable.type, weight))
        if len(own) == 2 and own != other and own[::-1] == other:
            yield variable.name, f"{list(own)}, the weight is {list(other)}"


RULES = (output_order, input_order, dead_output, transposed_gradient)
