"""netwright takes a task and a device and gives back a neural network that provably runs there."""
__version__ = "0.1.0"
