"""Time scattering, from samples to what the models read.

filters      the banks of wavelets: ScatNet's and kymatio's
plan         where each of a bank's filters is computed, and at which rate
kernel       the arithmetic of a level of the plan
transform    samples -> the scattering coefficients of one bank
features     samples -> those of all banks, renormalised and in logarithms
arrays       the same for arrays in memory, and what each column is

extract      a data directory -> feats.scp
archives     which archives that makes, goes on with and removes
journal      what is in each archive
scat_json    the configuration that made them, as a file
"""
