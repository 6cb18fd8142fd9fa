#!/usr/bin/env bash
# torch-fidelity 0.4.0 installs a top-level package called `tests` next to `torch_fidelity`.
#
# Guess: a library's wheel holds its own package only, and `python -m tests.x` in a checkout finds the checkout's tests/.
# Seen: the wheel holds tests/__init__.py. A checkout whose tests/ has no __init__.py is a namespace package, and a regular
# package wins over a namespace package wherever it stands on the path. So `import tests` gives torch-fidelity's, and
# `python -m tests.helpers.x` fails with "No module named tests.helpers", although the current folder comes first.
# Why it matters: whoever measures FID with torch-fidelity and starts helpers of their own tests in child processes.
# What helps: an __init__.py in the checkout's tests/.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --no-deps torch-fidelity==0.4.0
mkdir -p "$work/checkout/tests/helpers"
echo 'print("ours")' > "$work/checkout/tests/helpers/x.py"
cd "$work/checkout"

"$work/env/bin/pip" show torch-fidelity | grep '^Version'
found=$("$work/env/bin/python" -c 'import tests; print(tests.__file__)')
case "$found" in
  */site-packages/tests/__init__.py) echo "import tests -> site-packages/tests/__init__.py" ;;
  *) echo "changed: import tests gives $found"; exit 1 ;;
esac
if "$work/env/bin/python" -m tests.helpers.x 2> "$work/error"; then
  echo "changed: python -m tests.helpers.x runs"; exit 1
fi
grep -o "No module named 'tests.helpers'" "$work/error"
touch tests/__init__.py
[ "$("$work/env/bin/python" -m tests.helpers.x)" = ours ] && echo "with an __init__.py in tests/: ours"
