#!/usr/bin/env bash
# A segment classifier of a network: local/segments.sh CONFIG DATA EXP_DIR SYSTEM PART... writes EXP_DIR/SYSTEM/svm.json
# and the segment vectors EXP_DIR/PART/SYSTEM.scp, of which the part "train" is learnt from. The name tells how:
#   {lseg|fseg}   the LSTM segment feature, or the fused one
#   ..._cfN       learnt from the posteriors of local/cross_fit.sh
#   ..._sel       k and C by cross-validation on training tracks, not from CONFIG
# What is newer than what it is made from is kept.
set -euo pipefail
config=$1 data=$2 exp=$3 system=$4
shift 4
learnt=post
[[ ! $system =~ _cf[0-9]+ ]] || learnt=post${BASH_REMATCH[0]}
fuse() { [[ $system != fseg* ]] || printf '%s\n' --fuse "scp:$data/$1/feats.scp"; }

if [[ $system == *_sel ]]; then
  config=$exp/$system.toml
  mapfile -t fused < <(fuse train)
  [ "$config" -nt "$exp/train/$learnt.scp" ] || lstmgenre select-svm "$data/train" "scp:$exp/train/$learnt.scp" "$config" "${fused[@]}"
fi
for part; do
  post=$exp/$part/post.scp vectors=$exp/$part/$system
  [ "$part" != train ] || post=$exp/train/$learnt.scp
  [ ! "$vectors.scp" -nt "$post" ] || continue
  mapfile -t fused < <(fuse "$part")
  lstmgenre pool-segments "scp:$post" "ark,scp:$vectors.ark,$vectors.scp" --config "$config" "${fused[@]}"
done
[ "$exp/$system/svm.json" -nt "$exp/train/$system.scp" ] ||
  lstmgenre train-svm "$data/train" "scp:$exp/train/$system.scp" "$exp/$system" --config "$config"
