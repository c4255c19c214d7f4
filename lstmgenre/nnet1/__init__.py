"""Kaldi's nnet1 networks, as torch modules and as the files that Kaldi's own tools read and write.

components, lstm, matmul          the equations, and how they are computed
layouts, codecs, fileformat       what a file holds, its bytes, and both together
nnet, init                        the Nnet, a list of components; Kaldi's random initialisations
forward                           an Nnet over a table of features: posteriors
"""
