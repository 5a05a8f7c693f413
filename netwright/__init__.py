"""netwright takes a task and a device and gives back a neural network that provably runs there."""
