#!/usr/bin/env bash
# Prints the exact versions in an environment as constraints: freeze_constraints.sh .venv/bin/python
set -euo pipefail

cat <<'EOF'
# The exact versions that the Makefile installs, and that the tests ran with.
# `make constraints` writes this file from .venv.
EOF
# Without the local part of a version: pip then takes whichever build of it the index offers
# (2.13.0+cpu and 2.13.0 are both 2.13.0).
"$1" -m pip freeze --all --exclude-editable --exclude pip | sed 's/+[a-z0-9.]*$//'
