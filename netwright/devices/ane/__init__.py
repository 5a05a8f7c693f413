"""The Apple Neural Engine: programs in Apple's MIL language, their weight files, and an executor that runs them.

    program = mil.parse(text)                       # MIL text -> plain immutable data; mil.to_text(program) back
    weights.write("weights.bin", [w1, w2])          # the weight file that BLOBFILE constants point into
    ready = files.load("model.mil")                 # text and weight files, or an .mlpackage, prepared once
    ready.run({"x": x})["y"]                        # in the engine's arithmetic: fp16 values, wide accumulators
    print(files.diff("a.mil", "b.mlpackage"))       # what sets two programs apart

`mil/` is the language, `weights.py` the weight file, `execute/` the executor, `package/` ML Program packages. Nothing
here needs macOS; only `package/` needs the extra `ane` (Core ML tools), when it is used.
"""
