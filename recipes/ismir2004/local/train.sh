#!/usr/bin/env bash
# Train a network: local/train.sh CONFIG FOLDS DATA EXP_DIR COMMAND "OPTION..."; with FOLDS (or "") of an LSTM, besides,
# those that local/cross_fit.sh needs. The trainers go on where they stopped, or say that all is done.
set -euo pipefail
config=$1 folds=$2 data=$3 exp=$4 command=$5
read -ra options <<<"$6"
lstmgenre "$command" "$data/train" "$exp" --config "$config" "${options[@]}"
if [ -n "$folds" ] && [ "$command" = train-lstm ]; then
  "$(dirname "$0")/cross_fit.sh" "$data/train" "$exp" "$folds" --config "$config" "${options[@]}"
fi
