#!/bin/sh
# A Chromium for the tests and pictures: the one that is there, or Debian's.
set -eu
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then
        exit 0
    fi
done
as_root=
if [ "$(id -u)" != 0 ]; then
    as_root="sudo -n"
fi
if command -v apt-get >/dev/null 2>&1 && { [ -z "$as_root" ] || sudo -n true 2>/dev/null; }; then
    echo "installing Chromium for the browser tests"
    log=$(mktemp)
    if $as_root apt-get update >"$log" 2>&1 && $as_root apt-get install -y chromium >>"$log" 2>&1; then
        exit 0
    fi
    tail -n 20 "$log" >&2
fi
echo "Chromium is needed for the browser tests and could not be installed: install it so that \`chromium\` is on the path" >&2
exit 1
