#!/usr/bin/env bash
# From a network to its scores: local/score.sh CONFIG "SYSTEM..." DATA EXP_DIR COMMAND runs it over test and, where there is
# one, evaluation; of an LSTM (COMMAND train-lstm) over train, too, and trains the segment classifiers; and writes
# EXP_DIR/{test,evaluation}/score.json. Posteriors, vectors and SVMs are kept that are newer than what they are made from.
set -euo pipefail
config=$1 data=$3 exp=$4
systems=() tests=(test)
[ "$5" != train-lstm ] || read -ra systems <<<"$2"
[ ! -d "$data/evaluation" ] || tests+=(evaluation)
for part in ${systems:+train} "${tests[@]}"; do
  post=$exp/$part/post
  [ "$post.scp" -nt "$exp/final.nnet" ] || lstmgenre forward "$exp" "scp:$data/$part/feats.scp" "ark,scp:$post.ark,$post.scp"
done
for system in "${systems[@]}"; do
  "$(dirname "$0")/segments.sh" "$config" "$data" "$exp" "$system" train "${tests[@]}"
done
for part in "${tests[@]}"; do
  svms=()
  for system in "${systems[@]}"; do svms+=(--svm "$exp/$system" --segments "scp:$exp/$part/$system.scp"); done
  lstmgenre score "$data/$part" --train-data "$data/train" --post "scp:$exp/$part/post.scp" "${svms[@]}" \
    --out "$exp/$part/score.json"
done
