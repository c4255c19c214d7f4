"""From a folder of music to a bundle in one go, by the functions that the single commands call.

settings     what a small corpus needs
data         the tracks to learn from and to test on, with features
networks     the network of all tracks, and one for each fold that has not heard it
evaluation   the choice of a system, and scores
stages       all of these in turn, then the bundle and a report
"""

from lstmgenre.learning.data import Corpus
from lstmgenre.learning.settings import Means, Settings
from lstmgenre.learning.stages import Learnt, learn

__all__ = ["Corpus", "Learnt", "Means", "Settings", "learn"]
