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
  --nj N             parallel jobs                        (default: number of cores)
  --stage N          start here                           (default: 1)
  --stop-stage N     end after this                       (default: 6)
Stages: 1 data, 2 features, 3 networks, 4 posteriors and segment features, 5 SVMs and scores, 6 tables
Example: $0 --corpus /corpora/ismir2004 --nj 8
USAGE
}

corpus='' work=$(dirname "$0") conf='' only='' nj=$(nproc) stage=1 stop_stage=6
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --corpus | --work | --conf | --models | --nj | --stage | --stop-stage)
      [ $# -ge 2 ] || { echo "$0: $1 needs a value" >&2; exit 2; }
      case $1 in
        --corpus) corpus=$2 ;; --work) work=$2 ;; --conf) conf=$2 ;; --models) only=$2 ;;
        --nj) nj=$2 ;; --stage) stage=$2 ;; --stop-stage) stop_stage=$2 ;;
      esac
      shift 2 ;;
    *) usage >&2; exit 2 ;;
  esac
done

recipe=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=recipes/ismir2004/path.sh
. "$recipe/path.sh"
# shellcheck source=recipes/ismir2004/cmd.sh
. "$recipe/cmd.sh"
conf=${conf:-$([ -n "$corpus" ] && echo paper || echo demo)}
case $conf in */*) ;; *) conf=$recipe/conf/$conf ;; esac
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
  for split in train test; do lstmgenre validate-data "$data/$split"; done
fi

if in_stage 2 "scattering features"; then
  for split in train test; do # extract-scat itself skips what is done
    $feats_cmd lstmgenre extract-scat "$data/$split" --config "$conf.toml" --nj "$nj"
  done
fi

if in_stage 3 "networks"; then
  while read -r -u 3 name command options; do # the trainers, too, go on where they stopped, or say that all is done
    # shellcheck disable=SC2086 # the options of a model are words
    $train_cmd lstmgenre "$command" "$data/train" "$exp/$name" --config "$conf.toml" $options
  done 3<<<"$models"
fi

if in_stage 4 "posteriors and segment features"; then
  while read -r -u 3 name command _; do
    for split in train test; do
      out=$exp/$name/$split
      done_if "$out/post.scp" ||
        lstmgenre forward "$exp/$name" "scp:$data/$split/feats.scp" "ark,scp:$out/post.ark,$out/post.scp"
      [ "$command" = train-lstm ] || continue
      done_if "$out/lseg.scp" ||
        lstmgenre pool-segments "scp:$out/post.scp" "ark,scp:$out/lseg.ark,$out/lseg.scp" --config "$conf.toml"
      done_if "$out/fseg.scp" ||
        lstmgenre pool-segments "scp:$out/post.scp" "ark,scp:$out/fseg.ark,$out/fseg.scp" --config "$conf.toml" \
          --fuse "scp:$data/$split/feats.scp"
    done
  done 3<<<"$models"
fi

if in_stage 5 "SVMs and scores"; then
  while read -r -u 3 name command _; do
    systems=()
    if [ "$command" = train-lstm ]; then
      for feature in lseg fseg; do
        done_if "$exp/$name/$feature/svm.skops" ||
          lstmgenre train-svm "$data/train" "scp:$exp/$name/train/$feature.scp" "$exp/$name/$feature"
        systems+=(--svm "$exp/$name/$feature" --segments "scp:$exp/$name/test/$feature.scp")
      done
    fi
    score=$exp/$name/test/score.json
    lstmgenre score "$data/test" --post "scp:$exp/$name/test/post.scp" "${systems[@]}" --json >"$score.tmp"
    mv "$score.tmp" "$score"
  done 3<<<"$models"
fi

if in_stage 6 "tables"; then
  lstmgenre report "$exp"
fi
