"""Tasks: data splits, loss and metric, from files that people have.

    task = tasks.load("digits")                                # a built-in task, by name
    task = tasks.load("data/", test="more/")                   # a folder of class subfolders of images or of .wav files
    task = tasks.load("walk.csv", label="activity", window=100, stride=50, group="person")
    task.train.x, task.train.y                                 # raw: [n, C, H, W], [n, C, L] or [n, F]; int64 [n]
    task = tasks.from_texts("news", (texts, labels), (other_texts, other_labels))
    task.inputs(task.test.x)                                   # what the network sees: float32, (x - offset) * scale
    train, validation = task.split_validation()

What can be loaded, one file each in `sources/` (the manual of each format is that file's docstring):

- a built-in task by name (`names()`); to load a folder of the same name write `./digits`;
- an .npz with x and y, or x_train, y_train, x_test, y_test (`sources/npz_file.py`, where the layout rules are);
- a .csv with a label column, rows as vectors, windows over time or texts (`sources/csv_file.py`, `words.py`);
- a folder of class subfolders of images, or train/ and test/ folders of these (`sources/image_folder.py`);
- the same of .wav files, which become log-mel features (`sources/wav_folder.py`, `mel.py`).

Where readings are integers, the compiled program takes the sensor's own (`task.front_end`; `front_end.py`).

The test set is what the data itself names as one (x_test, a test/ folder), or `test=PATH`, which wins; with neither, a
stratified seeded 20 % is held out, whole groups where the data has groups. `task.held_out` says which, in a sentence.

Whatever comes from a file is data: nothing is unpickled, sizes are checked before memory is taken, and names of classes
and columns are cleaned to one printable line. Trouble is a `UserError` of one line.

To add a source: one file in `sources/` with a `source` object that has the attributes of `sources.Source`.
This package imports NumPy; Pillow and scikit-learn only where a source needs them.
"""

from __future__ import annotations

from .loading import from_texts, load, names
from .mel import LogMel
from .task import Split, Task
from .words import Words

__all__ = ["LogMel", "Split", "Task", "Words", "from_texts", "load", "names"]
