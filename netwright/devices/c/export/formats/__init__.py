"""One file a build system."""
