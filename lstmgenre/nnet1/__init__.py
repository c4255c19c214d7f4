"""Kaldi's nnet1 networks: components as torch modules, the files that Kaldi's own tools read and write.

components.py holds the equations, lstm.py the recurrent layer's passes, fileformat.py the bytes, nnet.py the Nnet (a
list of components), init.py Kaldi's random initialisations.
"""
