# What the recipe needs on the PATH. Sourced.
# shellcheck shell=bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[ ! -d "$root/.venv/bin" ] || export PATH="$root/.venv/bin:$PATH"
export LC_ALL=C
command -v lstmgenre >/dev/null || {
  echo "path.sh: lstmgenre is not installed: run 'make setup' in $root" >&2
  exit 1
}
