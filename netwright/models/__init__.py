"""Named networks built as Graphs, one flat file each."""
