# Where everything that is built or kept outside the checkout lives.
# shellcheck shell=bash

cache=${XDG_CACHE_HOME:-$HOME/.cache}/cutover-tests
logs=$cache/logs
mkdir -p "$logs"

# Cargo keys what it builds by content, so checkouts of any age share one folder.
export CARGO_TARGET_DIR=$cache/target
# A snapshot that differs fails its test; it is never written beside it.
export INSTA_UPDATE=no
# Compiled Python of helper scripts would land in the checkout.
export PYTHONDONTWRITEBYTECODE=1
