//! Finds the API server: in a pod by the pod's own service account and by nothing else.
//!
//! kube's `infer` looks for a kubeconfig first: in `KUBECONFIG`, which an image may set, and in `$HOME`, which may be
//! on a volume that others write. Either would choose the cluster that a program obeys, and get its token.

use std::path::PathBuf;

use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use crate::watches::READ_TIMEOUT;

/// There is no API server, or no client of it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// This is not a pod, or its service account is not mounted.
    #[error("failed to find the API server: run in a pod with a service account")]
    NotInCluster(#[source] Box<InClusterError>),
    /// The flag names a file that cannot be read, or is not a kubeconfig.
    #[error("failed to use the kubeconfig {}", .path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// The address of a proxy is not one.
    #[error("failed to use {0:?} as the address of a proxy to the API server")]
    Proxy(String),
    /// The certificates or the token cannot be used.
    #[error("failed to set up the client of the API server")]
    Client(#[source] Box<kube::Error>),
}

/// The API server of the cluster that this pod runs in.
pub fn in_cluster() -> Result<Config, ConnectError> {
    Config::incluster().map_err(|source| ConnectError::NotInCluster(Box::new(source)))
}

/// The API server behind a proxy in this pod, which alone has an identity there. Its address is an URL of plain HTTP.
pub fn behind_proxy(address: &str) -> Result<Config, ConnectError> {
    let mut config = address.parse().map(Config::new).map_err(|_| ConnectError::Proxy(address.to_owned()))?;
    // Otherwise the authorities of the image would be loaded, which may have none.
    config.root_cert = Some(Vec::new());
    Ok(config)
}

/// Makes the client of a configuration.
pub fn client(config: Config) -> Result<Client, ConnectError> {
    Client::try_from(config).map_err(|source| ConnectError::Client(Box::new(source)))
}

/// The flag of programs that also run outside of a cluster, for development and benchmarks.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ConnectArgs {
    /// Kubeconfig file that names the API server, instead of this pod's service account.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

impl ConnectArgs {
    /// Connects to the API server of the given kubeconfig, or else of this pod.
    pub async fn connect(&self) -> Result<Client, ConnectError> {
        let Some(path) = &self.kubeconfig else { return client(watching(in_cluster()?)) };
        let failed = |source| ConnectError::Kubeconfig { path: path.clone(), source: Box::new(source) };
        let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
        let options = KubeConfigOptions::default();
        client(watching(Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(failed)?))
    }
}

/// For programs that watch: a connection that says nothing is given up, and no call waits for ever.
fn watching(mut config: Config) -> Config {
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Api;
    use std::fs;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::path::Path;
    use std::process::Command;
    use std::thread::{self, JoinHandle};

    const KUBECONFIG: &str = "apiVersion: v1
kind: Config
clusters: [{name: evil, cluster: {server: 'http://203.0.113.1'}}]
users: [{name: evil, user: {}}]
contexts: [{name: evil, context: {cluster: evil, user: evil}}]
current-context: evil
";

    fn write_kubeconfig(home: &Path) -> PathBuf {
        let file = home.join(".kube/config");
        fs::create_dir(home.join(".kube")).unwrap();
        fs::write(&file, KUBECONFIG).unwrap();
        file
    }

    /// The environment of a process cannot be changed safely, so a second one gets it.
    #[test]
    fn kubeconfig_of_the_environment_and_of_the_home_directory_is_ignored() {
        let home = tempfile::tempdir().unwrap();
        let file = write_kubeconfig(home.path());
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "connect::tests::process_with_a_kubeconfig_finds_no_cluster", "--ignored"])
            .env_remove("KUBERNETES_SERVICE_HOST")
            .env("HOME", home.path())
            .env("KUBECONFIG", file)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    #[tokio::test]
    #[ignore = "run by the test above, in a process of its own"]
    async fn process_with_a_kubeconfig_finds_no_cluster() {
        assert!(std::env::var_os("KUBECONFIG").is_some(), "not run by the test above");
        assert!(matches!(in_cluster(), Err(ConnectError::NotInCluster(_))));
        let connected = ConnectArgs::default().connect().await;
        assert!(matches!(connected, Err(ConnectError::NotInCluster(_))));
    }

    /// One answer to a GET, on a thread of its own. Returns the address, and the head of the request.
    fn proxy(body: &'static str) -> (String, JoinHandle<String>) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", socket.local_addr().unwrap());
        let served = thread::spawn(move || {
            let (mut client, _) = socket.accept().unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(client.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n") {
                assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
            }
            let length = body.len();
            let head_of_answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
            write!(client, "{head_of_answer}content-length: {length}\r\n\r\n{body}").unwrap();
            head
        });
        (address, served)
    }

    #[tokio::test]
    async fn proxy_is_asked_by_plain_http_without_a_token() {
        let (address, served) =
            proxy(r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "orders"}}"#);
        let client = client(behind_proxy(&address).unwrap()).unwrap();
        let found = Api::<ConfigMap>::namespaced(client, "demo").get("orders").await.unwrap();
        assert_eq!(found.metadata.name.as_deref(), Some("orders"));
        let head = served.join().unwrap();
        assert!(head.starts_with("GET /api/v1/namespaces/demo/configmaps/orders"), "{head}");
        assert!(!head.to_ascii_lowercase().contains("authorization"), "{head}");
    }

    #[test]
    fn address_of_a_proxy_must_be_an_url() {
        assert!(matches!(behind_proxy("127.0.0.1 8009"), Err(ConnectError::Proxy(_))));
    }

    #[tokio::test]
    async fn kubeconfig_of_the_flag_must_exist() {
        let arguments = ConnectArgs { kubeconfig: Some("/nonexistent/config".into()) };
        let error = arguments.connect().await.err().unwrap();
        assert_eq!(error.to_string(), "failed to use the kubeconfig /nonexistent/config");
    }
}
