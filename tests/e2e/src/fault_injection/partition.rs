//! A pod that others do not reach, and that does not reach them.

use std::fs::File;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::Command;

use anyhow::{Context, ensure};

use super::process::processes_of_pod;

/// Rules that drop packets in the network of a pod, removed on drop.
#[derive(Debug)]
pub struct Partition {
    /// Its network namespace, which may outlive the pod.
    network: File,
    program: &'static str,
    rules: Vec<Vec<String>>,
}

impl Partition {
    /// Drops all packets from and to these addresses.
    pub fn from_addresses(uid: &str, addresses: &[IpAddr]) -> anyhow::Result<Self> {
        let address = addresses.first().context("no address to drop the packets of")?;
        let mut partition = Self::none(uid, *address)?;
        for address in addresses {
            partition.add("INPUT", &["-s", &address.to_string(), "-j", "DROP"])?;
            partition.add("OUTPUT", &["-d", &address.to_string(), "-j", "DROP"])?;
        }
        Ok(partition)
    }

    /// Drops all packets but those from and to the pod's own node: the kubelet and this program always reach their pods.
    pub fn from_everything(uid: &str, pod: IpAddr) -> anyhow::Result<Self> {
        let node = local_address(pod)?.to_string();
        let mut partition = Self::none(uid, pod)?;
        for (chain, interface, address) in [("INPUT", "-i", "-s"), ("OUTPUT", "-o", "-d")] {
            partition.add(chain, &[interface, "lo", "-j", "ACCEPT"])?;
            if pod.is_ipv6() {
                // Without it not even the node is found.
                partition.add(chain, &["-p", "icmpv6", "-j", "ACCEPT"])?;
            }
            partition.add(chain, &[address, &node, "-j", "ACCEPT"])?;
            partition.add(chain, &["-j", "DROP"])?;
        }
        Ok(partition)
    }

    fn none(uid: &str, address: IpAddr) -> anyhow::Result<Self> {
        // It holds the namespaces of the pod, whichever container is restarted.
        let holder = processes_of_pod(uid, "pause").pop().context("the pod has no sandbox")?;
        let path = format!("/proc/{}/ns/net", holder.pid());
        let network = File::open(&path).with_context(|| format!("failed to open {path}"))?;
        let program = if address.is_ipv6() { "ip6tables" } else { "iptables" };
        Ok(Self { network, program, rules: Vec::new() })
    }

    fn add(&mut self, chain: &str, rule: &[&str]) -> anyhow::Result<()> {
        let rule: Vec<String> = [chain].iter().chain(rule).map(|word| (*word).to_owned()).collect();
        self.run("-A", &rule)?;
        self.rules.push(rule);
        Ok(())
    }

    fn run(&self, action: &str, rule: &[String]) -> anyhow::Result<()> {
        let network = format!("--net=/proc/{}/fd/{}", std::process::id(), self.network.as_raw_fd());
        let mut command = Command::new("nsenter");
        command.args([network.as_str(), "--", self.program, "-w", action]).args(rule);
        let output = command.output().with_context(|| format!("failed to run {command:?}"))?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        for rule in &self.rules {
            if let Err(error) = self.run("-D", rule) {
                eprintln!("--- {error:#}");
            }
        }
    }
}

/// The address by which this machine reaches another one. Nothing is sent.
fn local_address(of: IpAddr) -> anyhow::Result<IpAddr> {
    let any = if of.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any).context("failed to open a socket")?;
    socket.connect((of, 9)).with_context(|| format!("failed to find a route to {of}"))?;
    Ok(socket.local_addr()?.ip())
}
