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
  --cross-fit N      besides, SVMs that learn on posteriors of networks that did not know the track's artist (N folds)
  --select           k and C by cross-validation on training tracks instead of the paper's k
  --split artist     in data/artist and exp_artist: training and evaluation set (without one, the test set) divided
                     anew, each artist on one side. Where that has been run, the paper's report shows it beside.
  --nj N             parallel jobs                        (default: number of cores)
  --stage N          start here                           (default: 1)
  --stop-stage N     end after this                       (default: 6)
Stages: 1 data, 2 features, 3 networks, 4 posteriors and segment features, 5 SVMs, baselines and scores,
        6 exp/report and, of the LSTM with the lowest held-out loss, exp/bundle
Example: $0 --corpus /corpora/ismir2004 --nj 8
USAGE
}

corpus='' work=$(dirname "$0") conf='' only='' cross_fit='' select='' split=paper
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
[[ $split =~ ^(paper|artist)$ ]] || { echo "$0: --split is paper or artist, not '$split'" >&2; exit 2; }

recipe=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=recipes/ismir2004/path.sh
. "$recipe/path.sh"
# shellcheck source=recipes/ismir2004/cmd.sh
. "$recipe/cmd.sh"
conf=${conf:-$([ -n "$corpus" ] && echo paper || echo demo)}
case $conf in */*) ;; *) conf=$recipe/conf/$conf ;; esac
mkdir -p "$work"
work=$(cd "$work" && pwd) # scp files keep the names that they are given: these hold from any directory
data=$work/data
exp=$work/exp

models=$("$recipe/local/models.sh" "$conf.models" "$only") # "name command options...", one a line
in_stage() {
  [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ] || return 1
  printf '== stage %d: %s\n' "$1" "$2" >&2
}
# done_if FILE...: whether all of them are there already, which a finished step leaves behind.
done_if() {
  for file; do [ -s "$file" ] || return 1; done
  printf '%s is there: skipped\n' "$1" >&2
}

if in_stage 1 "data"; then
  if ! done_if "$data/train/utt2genre" "$data/test/utt2genre"; then
    if [ -n "$corpus" ]; then
      lstmgenre prep-data ismir2004 "$corpus" "$data"
    else
      lstmgenre prep-data demo "$data"
    fi
  fi
  for part in train test; do lstmgenre validate-data "$data/$part"; done
fi

if in_stage 2 "scattering features"; then
  other="test"
  [ "$split" = paper ] || [ ! -d "$data/evaluation" ] || other=evaluation
  for part in train "$other"; do # extract-scat itself skips what is done
    $feats_cmd lstmgenre extract-scat "$data/$part" --config "$conf.toml" --nj "$nj"
  done
  [ "$split" = paper ] || lstmgenre split-data "$data/train" "$data/$other" "$data/artist" --folds 2
fi
[ "$split" = paper ] || { data=$work/data/artist/1 exp=$work/exp_artist; }

if in_stage 3 "networks"; then
  while read -r -u 3 name command options; do # the trainers, too, go on where they stopped, or say that all is done
    # shellcheck disable=SC2086 # the options of a model are words
    $train_cmd lstmgenre "$command" "$data/train" "$exp/$name" --config "$conf.toml" $options
    [ -n "$cross_fit" ] && [ "$command" = train-lstm ] || continue
    # shellcheck disable=SC2086
    done_if "$exp/$name/train/post_cf.scp" ||
      "$recipe/local/cross_fit.sh" "$data/train" "$exp/$name" "$cross_fit" --config "$conf.toml" $options
  done 3<<<"$models"
fi

systems=(lseg fseg)
[ -z "$cross_fit" ] || systems+=(lseg_cf fseg_cf)

if in_stage 4 "posteriors and segment features"; then
  while read -r -u 3 name command _; do
    for part in train test; do
      out=$exp/$name/$part
      done_if "$out/post.scp" ||
        lstmgenre forward "$exp/$name" "scp:$data/$part/feats.scp" "ark,scp:$out/post.ark,$out/post.scp"
    done
    [ "$command" = train-lstm ] || continue
    for system in "${systems[@]}"; do
      "$recipe/local/segments.sh" "$data" "$exp/$name" "$system" "$conf.toml" $select
    done
  done 3<<<"$models"
fi

if in_stage 5 "SVMs, baselines and scores"; then
  while read -r -u 3 name command _; do
    svms=()
    if [ "$command" = train-lstm ]; then
      for system in "${systems[@]}"; do
        svm=$exp/$name/$system
        done_if "$svm/svm.skops" ||
          lstmgenre train-svm "$data/train" "scp:$exp/$name/train/$system.scp" "$svm" --config "$svm.toml"
        svms+=(--svm "$svm" --segments "scp:$exp/$name/test/$system.scp")
      done
    fi
    score=$exp/$name/test/score.json
    lstmgenre score "$data/test" --post "scp:$exp/$name/test/post.scp" "${svms[@]}" --json >"$score.tmp"
    mv "$score.tmp" "$score"
  done 3<<<"$models"
  done_if "$exp/mfcc_svm/test/score.json" ||
    lstmgenre score-baselines "$data/train" "$data/test" "$exp" --nj "$nj"
fi

if in_stage 6 "report and bundle"; then
  beside=()
  [ "$split" = artist ] || [ ! -d "$work/exp_artist/report" ] || beside=(--beside "$work/exp_artist")
  lstmgenre report "$exp" "$exp/report" "${beside[@]}"
  mapfile -t lstms < <(awk -v root="$exp" '$2 == "train-lstm" { print root "/" $1 }' <<<"$models")
  [ ${#lstms[@]} -eq 0 ] || lstmgenre bundle "${lstms[@]}" "$exp/bundle" # its fused SVM, the paper's best
fi
