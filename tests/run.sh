#!/usr/bin/env bash
# The full set of tests: installs what it needs (Debian packages, as root), then checks format, lints, docs, and runs
# all tests, those in a browser included. Plain `cargo test` needs nothing but Rust and says what it leaves out.
set -euo pipefail
cd "$(dirname "$0")/.."

need() { # need COMMAND PACKAGE...: installs the packages if the command is missing
  local command=$1
  shift
  command -v "$command" >/dev/null && return
  echo "run.sh: installing $*"
  [ -n "${updated:-}" ] || apt-get update -qq
  updated=1
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}
# Packages of servers start them otherwise; the tests start their own.
if [ ! -e /usr/sbin/policy-rc.d ] && [ -w /usr/sbin ]; then
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
PATH=$PATH:/usr/sbin:/sbin
need cc gcc libc6-dev
need node nodejs
need npm npm
need nginx nginx
need caddy caddy
need haproxy haproxy
need redis-server redis-server
need openssl openssl
need chromium chromium fonts-noto-cjk fonts-noto-color-emoji
cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
cargo clippy --version >/dev/null 2>&1 || rustup component add clippy

cargo fmt --check
# The library alone, the program as it is installed, and with all that the tests need of it.
cargo clippy --lib --no-default-features --features socketio --locked -- -D warnings
cargo clippy --lib --no-default-features --features redis --locked -- -D warnings
cargo clippy --locked -- -D warnings
cargo clippy --all-targets --locked -- -D warnings
RUSTDOCFLAGS='-D warnings' cargo doc --lib --no-deps --no-default-features --features socketio --locked
RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --locked
# The simulation (docs/simulation.md) runs a few seeds, and then looks for planted bugs.
TEST_BROWSER=1 TEST_SOCKETIO=1 TEST_PROXIES=1 TEST_REDIS=1 TEST_PLANTED=1 cargo test --locked
