"""Kaldi's nnet1 training: one epoch over shuffled frames (frames.py) or over parallel streams (streams.py), the
learning rate from epoch to epoch (schedule.py), and the loop that writes an experiment directory and resumes it
(trainer.py).

examples.py feeds them, objective.py is the loss and sgd.py the update that both kinds of epoch share.
"""
