#!/bin/bash
# Builds OUT_FOLDER/uwebsockets from server.cpp and the sources of uWebSockets that a crate carries, if it is not there
# or older than what it is made of.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:?usage: build.sh OUT_FOLDER}
program=$out/uwebsockets

fresh=yes
for source in server.cpp build.sh Cargo.lock; do
  # Also true if the program does not exist.
  if [[ $here/$source -nt $program ]]; then fresh=no; fi
done
if [[ $fresh == yes ]]; then exit; fi

for tool in gcc g++; do
  if ! command -v "$tool" >/dev/null; then
    echo "The uWebSockets peer needs $tool, which is not installed." >&2
    exit 1
  fi
done

manifest=$here/Cargo.toml
cargo fetch --quiet --locked --manifest-path "$manifest"
package=$(cargo metadata --format-version 1 --locked --manifest-path "$manifest" |
  grep -o '"manifest_path":"[^"]*/libuwebsockets-sys-[^"/]*/Cargo.toml"' |
  sed -e 's/^"manifest_path":"//' -e 's|/Cargo.toml"$||')
sources=$package/uWebSockets

mkdir -p "$out"
objects=$(mktemp -d "$out/objects.XXXXXX")
trap 'rm -rf "$objects"' EXIT
flags=(-O3 -flto=auto -DLIBUS_NO_SSL -DLIBUS_USE_EPOLL -I "$sources/uSockets/src")
for source in "$sources"/uSockets/src/*.c "$sources"/uSockets/src/eventing/*.c; do
  gcc -std=gnu11 "${flags[@]}" -c "$source" -o "$objects/$(basename "$source" .c).o"
done
g++ -std=c++20 "${flags[@]}" -DUWS_NO_ZLIB -I "$sources/src" "$here/server.cpp" "$objects"/*.o -o "$objects/uwebsockets"
# Move the program into place only when it is complete.
mv "$objects/uwebsockets" "$program"
