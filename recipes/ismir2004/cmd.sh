# How commands are run: prefixes, as in Kaldi's recipes. Sourced. On a cluster, put the scheduler's own command here, for
# example train_cmd="srun --cpus-per-task=1 --mem=4G"; as many run side by side as --nj says.
# shellcheck shell=bash
# shellcheck disable=SC2034
feats_cmd=
train_cmd=
