# What the recipe needs on the PATH. Sourced. A clone of the project has its own lstmgenre, two directories further up.
# shellcheck shell=bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[ ! -x "$root/.venv/bin/lstmgenre" ] || export PATH="$root/.venv/bin:$PATH"
export LC_ALL=C
command -v lstmgenre >/dev/null || {
  echo "path.sh: lstmgenre is not on the PATH: activate the environment that has it; in a clone, run 'make setup'" >&2
  exit 1
}
