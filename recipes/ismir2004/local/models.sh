#!/usr/bin/env bash
# Print the lines of a .models file, less its comments: all, or those named. local/models.sh FILE ["NAME NAME ..."]
set -euo pipefail
file=$1 only=${2:-}
names=$(sed 's/#.*//' "$file" | awk 'NF { print $1 }')
for name in $only; do
  grep -qx -- "$name" <<<"$names" || { echo "$file: has no model '$name'; it has: ${names//$'\n'/ }" >&2; exit 1; }
done
sed 's/#.*//' "$file" | awk -v only=" $only " 'NF && (only ~ /^ *$/ || index(only, " " $1 " "))'
