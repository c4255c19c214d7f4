#!/usr/bin/env bash
# Segment vectors of a system: local/segments.sh DATA EXP_DIR {lseg|fseg}[_cf] CONFIG [select] writes
# EXP_DIR/{train,test}/SYSTEM.scp and EXP_DIR/SYSTEM.toml, CONFIG or what select-svm chooses. What is there is kept.
set -euo pipefail
data=$1 exp=$2 system=$3 config=$4 select=${5:-}
of=${system#?seg} # "" or "_cf": which posteriors of the training tracks
fuse() { [[ $system != fseg* ]] || printf '%s\n' --fuse "scp:$data/$1/feats.scp"; }

if [ ! -s "$exp/$system.toml" ]; then
  mapfile -t fused < <(fuse train)
  if [ -n "$select" ]; then
    lstmgenre select-svm "$data/train" "scp:$exp/train/post$of.scp" "$exp/$system.toml" "${fused[@]}"
  else
    cp "$config" "$exp/$system.toml"
  fi
fi
for part in train test; do
  post=$exp/$part/post.scp vectors=$exp/$part/$system
  [ ! -s "$vectors.scp" ] || continue
  [ "$part" = test ] || post=$exp/train/post$of.scp
  mapfile -t fused < <(fuse "$part")
  lstmgenre pool-segments "scp:$post" "ark,scp:$vectors.ark,$vectors.scp" --config "$exp/$system.toml" "${fused[@]}"
done
