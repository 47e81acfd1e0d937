# shellcheck shell=bash disable=SC2154 # patroni/build sets the variables
# The stages of patroni/build. Sourced.

fail() {
    printf 'patroni/build: %s\n' "$*" >&2
    exit 1
}

python_version=3.13
loader=ld-linux-x86-64.so.2
home=/pgops/ha

# Prints the path of a package's file in the cache, after a download if it is not there.
fetch_package() { # SHA256 PATH
    local file=$cache/packages/$1.deb mirror
    if [[ ! -e $file ]]; then
        case $2 in
        pool/updates/*) mirror=$(debian_mirror security) ;;
        *) mirror=$(debian_mirror base) ;;
        esac
        [[ -n $mirror ]] ||
            fail "apt has no Debian mirror: set PGOPS_DEBIAN_MIRROR and PGOPS_DEBIAN_SECURITY_MIRROR"
        curl --fail --silent --show-error --location --retry 3 --output "$work/download" "${mirror%/}/$2" ||
            fail "$2 cannot be downloaded. If Debian has replaced it by a newer version, run patroni/pin"
        sha256sum --check --status <<<"$1  $work/download" ||
            fail "$2 is not the file that patroni/debian.tsv names"
        mv "$work/download" "$file"
    fi
    printf '%s\n' "$file"
}

unpack_packages() { # TARGET
    local package digest path file
    while IFS=$'\t' read -r package _ digest path _; do
        file=$(fetch_package "$digest" "$path")
        dpkg-deb --extract "$file" "$1"
    done < <(packages)
    while IFS=$'\t' read -r package _; do
        cp -L "$1/usr/share/doc/$package/copyright" "$root/licenses/$package"
    done < <(packages)
}

packages() { grep -v '^#' "$here/debian.tsv"; }

# What neither Patroni nor a package of it imports, and would need more libraries.
unused_modules=(
    _pyrepl curses dbm ensurepip idlelib lib2to3 pydoc_data sqlite3 test tkinter turtledemo venv turtle.py
    'lib-dynload/_curses*' 'lib-dynload/_dbm*' 'lib-dynload/_gdbm*' 'lib-dynload/_sqlite3*' 'lib-dynload/*test*'
    'lib-dynload/xx*' 'lib-dynload/readline*'
)

take_python() { # DEBIAN
    local module
    cp "$1/usr/bin/python$python_version" "$root/bin/python3"
    cp -r "$1/usr/lib/python$python_version" "$root/lib/"
    for module in "${unused_modules[@]}"; do
        # shellcheck disable=SC2086 # a pattern
        rm -rf "$root/lib/python$python_version"/$module
    done
    # Settings of the distribution, which nothing reads without the module site; a link to it dangles.
    rm -rf "$root/lib/python$python_version"/{sitecustomize.py,_sysconfigdata*,config-*}
    cp -r "$1/usr/lib/python3/dist-packages/." "$root/packages/"
    rm -rf "$root/packages"/{*.egg-info,psutil/tests}
}

# What no file needs by name, but programs load: on the end of a thread, and to look up a host.
loaded_libraries=(libgcc_s.so.1 libnss_dns.so.2 libnss_files.so.2)

# Takes each library that some file of the bundle needs, under the name by which it is needed. One that is missing here would
# be the image's, if that has it.
take_libraries() { # DEBIAN
    local files needed name
    mapfile -t files < <(find "$root" -type f \( -path "$root/bin/*" -o -name '*.so' \))
    needed=$(printf '%s\n' "$loader" "${loaded_libraries[@]}" && needed_by "${files[@]}")
    while [[ -n $needed ]]; do
        files=()
        for name in $needed; do
            [[ ! -e $root/lib/$name ]] || continue
            cp -L "$1/usr/lib/x86_64-linux-gnu/$name" "$root/lib/$name" ||
                fail "a file of the bundle needs $name, which no package of patroni/debian.tsv has"
            files+=("$root/lib/$name")
        done
        needed=$(needed_by "${files[@]}")
    done
}

# Prints the names of the libraries that files need. A RUNPATH in one of them would take precedence over that of bin/python3.
needed_by() { # FILE…
    local file
    for file in "$@"; do
        [[ -z $(hack_tool patchelf --print-rpath "$file") ]] || fail "${file#"$root/"} has a RUNPATH"
        hack_tool patchelf --print-needed "$file"
    done
}

# Prints the directory of the wheels in the cache, after a download if they are not there.
fetch_wheels() {
    local wheels
    wheels=$cache/wheels-$(content_key "$here/wheels.txt")
    if [[ ! -d $wheels ]]; then
        python3 -m pip --version >/dev/null || fail "pip is needed to download wheels (Debian's package python3-pip)"
        python3 -m pip --disable-pip-version-check download --quiet --no-deps --only-binary :all: \
            --require-hashes --dest "$work/wheels" --requirement "$here/wheels.txt" >&2
        mv "$work/wheels" "$wheels"
    fi
    printf '%s\n' "$wheels"
}

take_wheels() {
    local wheels wheel name
    wheels=$(fetch_wheels)
    for wheel in "$wheels"/*.whl; do
        python3 -m zipfile --extract "$wheel" "$root/packages"
        name=$(basename "$wheel")
        name=${name%%-*}
        cat "$root/packages/$name"-*.dist-info/licenses/* >"$root/licenses/$name"
    done
}

# The bundle's own interpreter, outside of /pgops/ha.
run_python() { # ARGUMENT…
    "$root/lib/$loader" --library-path "$root/lib" "$root/bin/python3" "$@"
}

# Compiled files that are never compared with their source: nothing writes into the bundle.
compile() {
    find "$work/root" -name __pycache__ -prune -exec rm -r {} +
    PYTHONHASHSEED=0 PYTHONHOME=$root run_python -S -m compileall -q -j 1 --invalidation-mode unchecked-hash \
        -s "$work/root" -p / "$root/lib/python$python_version" "$root/packages"
}

# The loader at a fixed path, since $ORIGIN needs /proc, and since Patroni starts itself by its sys.executable. With RPATH,
# and not RUNPATH, the libraries of libraries come from the bundle too, before LD_LIBRARY_PATH and the image's own.
set_loader() {
    hack_tool patchelf --set-interpreter "$home/lib/$loader" --force-rpath --set-rpath "$home/lib" "$root/bin/python3"
}

# Prints the bill of materials.
bill() {
    {
        packages | jq --raw-input --arg suite trixie 'split("\t") | {
            type: "library", name: .[0], version: .[1], licenses: [{expression: .[4]}],
            hashes: [{alg: "SHA-256", content: .[2]}],
            purl: "pkg:deb/debian/\(.[0])@\(.[1] | @uri)?arch=amd64&distro=\($suite)"}'
        sed -n 's/^\([a-z0-9]*\)==\([^ ]*\) --hash=sha256:\([0-9a-f]*\)$/\1 \2 \3/p' "$here/wheels.txt" |
            jq --raw-input 'split(" ") | {
            type: "library", name: .[0], version: .[1], licenses: [{expression: "MIT"}],
            hashes: [{alg: "SHA-256", content: .[2]}], purl: "pkg:pypi/\(.[0])@\(.[1])"}'
    } | jq --slurp '{
        bomFormat: "CycloneDX", specVersion: "1.5", version: 1,
        metadata: {component: {type: "application", name: "pgops-patroni", "bom-ref": "pgops-patroni"}},
        components: map({"bom-ref": .purl} + .)}'
}

hack_tool() { "$here/../hack/tool" "$@"; }
