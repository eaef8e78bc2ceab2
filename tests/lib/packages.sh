# Programs of the Debian archive that a group needs.
# shellcheck shell=bash

# need COMMAND=PACKAGE...: installs the packages whose commands are missing.
need() {
    local pair missing=()
    for pair in "$@"; do
        PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    if ((${#missing[@]} == 0)); then return 0; fi
    echo "installing ${missing[*]}"
    as_root apt-get update --quiet --quiet &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --quiet --yes \
            --no-install-recommends "${missing[@]}" && return 0
    echo "error: could not install ${missing[*]}; install them, then run this again" >&2
    return 1
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo --non-interactive "$@"; fi
}
