#!/usr/bin/env bash
# Posteriors of training tracks by networks that do not know their artists: local/cross_fit.sh TRAIN_DIR EXP_DIR FOLDS
# OPTION... trains, with these options of train-lstm, a network without each fold in turn and runs it over that fold.
# Writes EXP_DIR/train/post_cfFOLDS.scp.
set -euo pipefail
train=$1 exp=$2 folds=$3 cf=$2/cf$3 post=$2/train/post_cf$3.scp
shift 3
[ ! -s "$post" ] || exit 0
lstmgenre split-data "$train" "$cf/data" --folds "$folds"
for fold in $(seq "$folds"); do
  lstmgenre train-lstm "$cf/data/$fold/train" "$cf/$fold" "$@"
  lstmgenre forward "$cf/$fold" "scp:$cf/data/$fold/test/feats.scp" "ark,scp:$cf/$fold/post.ark,$cf/$fold/post.scp"
done
mkdir -p "$exp/train"
sort "$cf"/*/post.scp >"$post.tmp"
mv "$post.tmp" "$post"
