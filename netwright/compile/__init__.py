"""Graph -> Graph, without data: fold, fuse, lower to int8, differentiate; and the memory plan.

graph = dead.eliminate(graph)              # nodes that no output or state needs
graph = constants.fold(graph)              # nodes whose inputs are all known
graph = batchnorm.fold(graph)              # batch norm into the convolution or linear layer before it
graph = int8.lower(graph, ranges)          # float, channels first -> integers, channels last
graph = attention.fold(graph)              # int8: scores of one token and head at a time, to the same bytes
graph = columns.split(graph)               # int8: queries, keys and values by a layer each
graph = feed_forward.fold(graph)           # int8: linear layers in pairs, hidden features of one token at a time
graph = stream.by_hops(graph)              # a program that takes a recording -> one that takes a hop of it a call
plan  = memory.plan(graph)                 # where every tensor lies in one arena
grads = autodiff(graph, wrt)               # the gradient, in the same ops
"""

from __future__ import annotations
