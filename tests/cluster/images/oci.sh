# shellcheck shell=bash
# Packs root file systems into OCI archives, several images per archive, with
# shared layers. Plain files and jq, so that no storage driver copies data.
# Sourced.

oci_begin() { # DIR
    mkdir -p "$1/blobs/sha256"
    printf '{"imageLayoutVersion":"1.0.0"}' >"$1/oci-layout"
    printf '{"schemaVersion":2,"manifests":[]}' >"$1/index.json"
}

# Moves a file into the layout under its digest; prints the digest's hex part.
oci_blob() { # DIR FILE
    local digest
    digest=$(sha256sum "$2" | cut -d' ' -f1)
    mv "$2" "$1/blobs/sha256/$digest"
    printf '%s\n' "$digest"
}

# Adds an image of layers that are already in the layout.
oci_image() { # DIR NAME CONFIG_JSON LAYER_DIGEST…
    local dir=$1 name=$2 settings=$3 layers config manifest
    shift 3
    layers=$(for layer in "$@"; do
        printf '{"digest":"sha256:%s","size":%s}\n' "$layer" "$(stat -c %s "$dir/blobs/sha256/$layer")"
    done | jq -s .)

    jq -n --argjson settings "$settings" --argjson layers "$layers" '{
        architecture: "amd64", os: "linux", config: $settings,
        rootfs: {type: "layers", diff_ids: [$layers[].digest]}
    }' >"$dir/config.tmp"
    config=$(oci_blob "$dir" "$dir/config.tmp")

    jq -n --arg config "$config" --argjson layers "$layers" \
        --argjson size "$(stat -c %s "$dir/blobs/sha256/$config")" '{
        schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: ("sha256:" + $config), size: $size},
        layers: [$layers[] | {mediaType: "application/vnd.oci.image.layer.v1.tar"} + .]
    }' >"$dir/manifest.tmp"
    manifest=$(oci_blob "$dir" "$dir/manifest.tmp")

    jq --arg digest "$manifest" --arg name "$name" \
        --argjson size "$(stat -c %s "$dir/blobs/sha256/$manifest")" '.manifests += [{
        mediaType: "application/vnd.oci.image.manifest.v1+json", digest: ("sha256:" + $digest), size: $size,
        platform: {architecture: "amd64", os: "linux"},
        annotations: {"io.containerd.image.name": $name, "org.opencontainers.image.ref.name": $name}
    }]' "$dir/index.json" >"$dir/index.tmp"
    mv "$dir/index.tmp" "$dir/index.json"
}

oci_finish() { # DIR ARCHIVE
    tar -C "$1" -cf "$2" oci-layout index.json blobs
}
