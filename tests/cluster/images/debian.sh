# shellcheck shell=bash
# Where Debian's packages come from. Sourced.

# Prints the Debian mirror that this machine's apt uses, unless the variable of tests/cluster/README.md names another one.
debian_mirror() { # base|security
    local override
    case $1 in
    base) override=${PGOPS_DEBIAN_MIRROR:-} ;;
    security) override=${PGOPS_DEBIAN_SECURITY_MIRROR:-} ;;
    esac
    if [[ -n $override ]]; then
        printf '%s\n' "$override"
        return
    fi
    # shellcheck disable=SC2016  # apt expands these, not the shell
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)|$(RELEASE)' 'Created-By: Packages' |
        awk -F'|' -v kind="$1" '
            $1 != "Debian" { next }
            kind == "security" ? $4 ~ /-security$/ : $4 !~ /-/ { print $3; exit }'
}
