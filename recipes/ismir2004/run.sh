#!/usr/bin/env bash
# "LSTM RNN based segment features for music genre classification" on ISMIR 2004, or on a synthesised demo corpus.
set -euo pipefail

usage() {
  cat <<USAGE
Usage: $0 [options]
  --corpus DIR       the ISMIR 2004 genre database; without it a demo corpus is synthesised
  --work DIR         where data/ and exp/ go              (default: $(dirname "$0"))
  --conf NAME        options and models: conf/NAME.toml, conf/NAME.models, or files elsewhere if NAME has a slash
                     (default: paper with --corpus, else demo)
  --models "A B"     only these models of NAME.models
  --split WHICH      paper: the paper's. artist: training and evaluation set (without one, the test set) divided anew
                     with each artist on one side, in data/artist and exp/artist. (default: both, side by side)
  --cross-fit N      besides, SVMs that learn on posteriors of networks that did not know the track's artist (N folds)
  --select           besides, SVMs with k and C by cross-validation on training tracks
  --nj N             parallel jobs                        (default: number of cores)
  --stage N          start here                           (default: 1)
  --stop-stage N     end after this                       (default: 6)
Stages: 1 data, 2 features, 3 networks, 4 segment features, SVMs and scores, 5 baselines,
        6 exp/bundle, of the LSTM with the lowest held-out loss, and exp/report
Example: $0 --corpus /corpora/ismir2004 --nj 8
USAGE
}

corpus='' work=$(dirname "$0") conf='' only='' cross_fit='' select='' split=both
nj=$(nproc) stage=1 stop_stage=6
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --select) select=yes; shift ;;
    --corpus | --work | --conf | --models | --cross-fit | --split | --nj | --stage | --stop-stage)
      [ $# -ge 2 ] || { echo "$0: $1 needs a value" >&2; exit 2; }
      case $1 in
        --corpus) corpus=$2 ;; --work) work=$2 ;; --conf) conf=$2 ;; --models) only=$2 ;; --nj) nj=$2 ;;
        --cross-fit) cross_fit=$2 ;; --split) split=$2 ;; --stage) stage=$2 ;; --stop-stage) stop_stage=$2 ;;
      esac
      shift 2 ;;
    *) usage >&2; exit 2 ;;
  esac
done
for number in "$nj" "$stage" "$stop_stage" "${cross_fit:-2}"; do
  [[ $number =~ ^[1-9][0-9]*$ ]] || { echo "$0: '$number' should be a number from 1" >&2; exit 2; }
done
[ "$stage" -le "$stop_stage" ] && [ "$stage" -le 6 ] ||
  { echo "$0: from stage $stage to $stop_stage there is nothing to do: the stages are 1 to 6" >&2; exit 2; }
case $split in
  both) splits=(paper artist) ;;
  paper | artist) splits=("$split") ;;
  *) echo "$0: --split is both, paper or artist, not '$split'" >&2; exit 2 ;;
esac

recipe=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=recipes/ismir2004/path.sh
. "$recipe/path.sh"
# shellcheck source=recipes/ismir2004/cmd.sh
. "$recipe/cmd.sh"
conf=${conf:-$([ -n "$corpus" ] && echo paper || echo demo)}
case $conf in */*) ;; *) conf=$recipe/conf/$conf ;; esac
for file in "$conf.toml" "$conf.models"; do
  [ -r "$file" ] || { echo "$0: $file: not there: check --conf" >&2; exit 2; }
done
mkdir -p "$work"
work=$(cd "$work" && pwd) # scp files keep the names that they are given: these hold from any directory
declare -A data=([paper]=$work/data [artist]=$work/data/artist/1)
declare -A exp=([paper]=$work/exp [artist]=$work/exp/artist)

models=$("$recipe/local/models.sh" "$conf.models" "$only") # "name command options...", one a line
in_stage() {
  [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ] || return 1
  printf '== stage %d: %s\n' "$1" "$2" >&2
}
# each_network SCRIPT ARGUMENT...: SCRIPT ARGUMENT... DATA EXP_DIR COMMAND "OPTION..." for every model on every split, $nj
# at a time.
each_network() {
  for of in "${splits[@]}"; do
    while read -r name command options; do
      printf '%s\0' "${data[$of]}" "${exp[$of]}/$name" "$command" "$options"
    done <<<"$models"
  done | xargs -0 -n 4 -P "$nj" "$@" || exit 1
}

if in_stage 1 "data"; then
  if [ -s "$work/data/train/utt2genre" ] && [ -s "$work/data/test/utt2genre" ]; then
    if [ -n "$corpus" ] && [ ! -e "$work/data/log/ismir2004.json" ]; then
      echo "$0: $work/data is of another corpus than $corpus: give another --work, or remove it" >&2
      exit 1
    fi
    echo "$work/data is there: skipped" >&2
  elif [ -n "$corpus" ]; then
    lstmgenre prep-data ismir2004 "$corpus" "$work/data"
  else
    lstmgenre prep-data demo "$work/data"
  fi
  for part in train test; do lstmgenre validate-data "$work/data/$part"; done
fi

if in_stage 2 "scattering features"; then
  parts=(train test)
  [ ! -d "$work/data/evaluation" ] || parts+=(evaluation)
  for part in "${parts[@]}"; do # extract-scat itself skips what is done
    $feats_cmd lstmgenre extract-scat "$work/data/$part" --config "$conf.toml" --nj "$nj"
  done
  [ "$split" = paper ] ||
    lstmgenre split-data "$work/data/train" "$work/data/${parts[-1]}" "$work/data/artist" --folds 2
fi

if in_stage 3 "networks"; then
  # shellcheck disable=SC2086 # a command with its options
  each_network $train_cmd "$recipe/local/train.sh" "$conf.toml" "$cross_fit"
fi

if in_stage 4 "segment features, SVMs and scores"; then
  systems="lseg fseg"
  [ -z "$cross_fit" ] || systems+=" lseg_cf$cross_fit fseg_cf$cross_fit"
  [ -z "$select" ] || systems+=" ${systems// /_sel }_sel"
  each_network "$recipe/local/score.sh" "$conf.toml" "$systems"
fi

if in_stage 5 "baselines"; then
  for of in "${splits[@]}"; do
    for part in test evaluation; do
      [ -d "${data[$of]}/$part" ] && [ ! -s "${exp[$of]}/mfcc_svm/$part/score.json" ] || continue
      lstmgenre score-baselines "${data[$of]}/train" "${data[$of]}/$part" "${exp[$of]}" --nj "$nj"
    done
  done
fi

if in_stage 6 "bundle and report"; then
  out=${exp[${splits[0]}]}
  mapfile -t lstms < <(awk -v root="$out" '$2 == "train-lstm" { print root "/" $1 }' <<<"$models")
  if [ ${#lstms[@]} -gt 0 ]; then
    lstmgenre bundle "${lstms[@]}" "$out/bundle" # its fused SVM, the paper's best
  else
    echo "no bundle: that is an LSTM with its fused SVM, and there is no LSTM among the models" >&2
  fi
  beside=()
  [ ${#splits[@]} -eq 1 ] || beside=(--beside "${exp[artist]}")
  lstmgenre report "$out" "$out/report" "${beside[@]}"
fi
