#!/bin/sh
# Installs what `make check` and `make bench` use, from Debian's packages. cmocka is needed; of the others, what is
# missing is skipped by the tests, and they say so.
set -e
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
packages="gcc make libc6-dev libcmocka-dev pkg-config clang libclang-rt-dev clang-format python3 curl strace
          valgrind wrk apache2-utils nginx-light chromium python3-tornado g++ libevent-dev libuv1-dev libev-dev
          libmicrohttpd-dev h2o lighttpd haproxy libssl-dev openssl tinyproxy libcurl4-openssl-dev libwebsockets-dev nodejs
          node-ws python3-websockets zlib1g-dev"
# RUNLEVEL: servers among them are not started.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
$sudo apt-get update -qq || echo "deps: some lists of packages are not up to date; those that are here have to do" >&2
for package in $packages; do
    apt-cache show "$package" > /dev/null 2>&1 || { echo "deps: no package $package here"; continue; }
    wanted="$wanted $package"
done
$sudo apt-get install -y -qq --no-install-recommends $wanted > /dev/null
echo "deps: installed$wanted"
