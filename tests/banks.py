"""A scattering bank that is quick to build and to run."""

from lstmgenre.scattering.features import BankConfig, FeatureConfig

SMALL = FeatureConfig(sample_rate=4000, window=256, banks=(BankConfig("scatnet", (1, 1)),))
