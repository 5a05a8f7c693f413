"""From what a sensor gives to what an integer network takes, in integers alone: reference, host and core agree to the
bit. Tables (windows, roots of unity, filters, logarithms) are parameters, so that a saved graph computes the same
everywhere.
"""
