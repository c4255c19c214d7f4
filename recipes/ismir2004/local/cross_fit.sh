#!/usr/bin/env bash
# Posteriors of training tracks by networks that do not know their artists: local/cross_fit.sh TRAIN_DIR EXP_DIR FOLDS
# OPTION... trains, with these options of train-lstm, a network without each fold in turn and runs it over that fold.
# Writes EXP_DIR/train/post_cf.scp.
set -euo pipefail
train=$1 exp=$2 folds=$3 cf=$2/cf$3
shift 3
lstmgenre split-data "$train" "$cf/data" --folds "$folds"
for fold in $(seq "$folds"); do
  lstmgenre train-lstm "$cf/data/$fold/train" "$cf/$fold" "$@"
  lstmgenre forward "$cf/$fold" "scp:$cf/data/$fold/test/feats.scp" "ark,scp:$cf/$fold/post.ark,$cf/$fold/post.scp"
done
mkdir -p "$exp/train"
sort "$cf"/*/post.scp >"$exp/train/post_cf.scp.tmp"
mv "$exp/train/post_cf.scp.tmp" "$exp/train/post_cf.scp"
