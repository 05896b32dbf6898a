#!/bin/sh
# Builds the page: build.sh SOURCE OUT  (OUT receives index.html, app.js, app.css, fanal.svg).
#
# npm packages are installed once beside the source and shared by every build folder; the lock is on
# package-lock.json itself, so builds that run side by side wait instead of tearing node_modules.
set -eu
source=$1
mkdir -p "$2"
out=$(cd "$2" && pwd)
cd "$source"

exec 9<package-lock.json
flock 9
if ! cmp -s package-lock.json node_modules/.fanal-installed; then
    npm ci --no-audit --no-fund --ignore-scripts --prefer-offline --loglevel=error
    cp package-lock.json node_modules/.fanal-installed
fi
flock -u 9

node node_modules/typescript/bin/tsc --noEmit
FANAL_UI_OUT=$out node node_modules/vite/bin/vite.js build --logLevel warn
