# shellcheck shell=bash disable=SC2154 # the settings come from env.sh, which is sourced before
# The cluster's certificates and kubeconfigs, created for each new cluster.
# Sourced.

pki=$state/pki

make_pki() {
    mkdir -p "$pki"
    chmod 700 "$pki"
    make_key ca
    openssl req -x509 -new -key "$pki/ca.key" -subj /CN=pgops-test-cluster -days 365 \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
        -out "$pki/ca.crt"
    # Signs service account tokens; no certificate is needed.
    make_key service-accounts
    openssl pkey -in "$pki/service-accounts.key" -pubout -out "$pki/service-accounts.pub"

    make_certificate kube-apiserver /CN=kube-apiserver serverAuth \
        "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:$node_ip,IP:$api_service_ip"
    make_certificate apiserver-to-kubelet /O=system:masters/CN=apiserver-to-kubelet clientAuth

    make_client admin /O=system:masters/CN=admin
    make_client kube-controller-manager /CN=system:kube-controller-manager
    make_client kube-scheduler /CN=system:kube-scheduler
    make_client coredns /CN=coredns
    make_node_pki
}

# The certificates of the selected node. A node other than the first reaches the API server by the first one's address.
make_node_pki() {
    local server=127.0.0.1
    [[ -z $node_suffix ]] || server=$(url_host "${node_ips[0]}")
    make_certificate "kubelet-server$node_suffix" "/O=system:nodes/CN=system:node:$node_name" serverAuth \
        "DNS:$node_name,IP:$node_ip"
    make_client "kubelet$node_suffix" "/O=system:nodes/CN=system:node:$node_name" "$server"
    make_client "kube-proxy$node_suffix" /CN=system:kube-proxy "$server"
}

make_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$pki/$1.key"; }

make_certificate() { # NAME SUBJECT USAGE [ALTERNATIVE_NAMES]
    make_key "$1"
    openssl req -new -key "$pki/$1.key" -subj "$2" |
        openssl x509 -req -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 365 \
            -out "$pki/$1.crt" -extfile <(
                echo "keyUsage=critical,digitalSignature"
                echo "extendedKeyUsage=$3"
                [[ -z ${4:-} ]] || echo "subjectAltName=$4"
            ) 2>/dev/null
}

# The server's address is loopback unless given, so that a command run outside of
# the network namespace by mistake fails instead of reaching some other machine.
make_client() { # NAME SUBJECT [SERVER]
    make_certificate "$1" "$2" clientAuth
    cat >"$pki/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
current-context: pgops
contexts: [{name: pgops, context: {cluster: pgops, user: $1}}]
clusters:
- name: pgops
  cluster:
    server: https://${3:-127.0.0.1}:6443
    certificate-authority-data: $(base64 -w0 "$pki/ca.crt")
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w0 "$pki/$1.crt")
    client-key-data: $(base64 -w0 "$pki/$1.key")
YAML
    chmod 600 "$pki/$1.kubeconfig"
}
