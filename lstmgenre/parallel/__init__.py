"""Shards of a job side by side. Shards, logs and results are the same wherever the processes are:

    run       a function over shards, again where a process is lost, with a log each
    table     a table through a function to another table, by run
    loky, dask, slurm    the engines: processes of this machine, workers of a cluster that runs, jobs of Slurm
    stream    a function over items, by processes of this machine that stay: results one by one, in order
    engine    what the engines have in common

On other machines the files must have the same paths as here.
"""
