"""TFLite operators, one file a family. Importing a file registers its rules by operator name."""
