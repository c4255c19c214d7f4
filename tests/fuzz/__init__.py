"""Seeded fuzzing of every parser: golden files, mutated. A parser may refuse them with an error of ours and
nothing else, within its share of time and memory.

targets.py has the parsers and their golden files, mutation.py the damage, running.py the limits. A few thousand inputs
of each are in the suite; `make fuzz` tries 100 000, and `make fuzz INPUTS=... SEED=...` others.
"""
