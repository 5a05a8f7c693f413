"""The built-in spaces, one file each: a module here defines `space`, a Space or a function that makes one."""
