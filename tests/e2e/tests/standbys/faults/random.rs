//! Random faults, one after the other.

use std::time::SystemTime;

use anyhow::Context;
use pgops_api::members::MemberRole;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::fault::{Fault, ISOLATIONS, KILLS, freezes};
use super::trial::assert_survives;

/// How many faults are injected.
const NUMBER: &str = "PGOPS_E2E_FAULTS";
const DEFAULT_NUMBER: u64 = 20;
/// The seed of a run that is repeated.
const SEED: &str = "PGOPS_E2E_SEED";
/// The kubelet waits longer with each restart of a container, and a new database has had none.
const FAULTS_OF_A_DATABASE: usize = 10;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "in make test-all only: its kind has another test"]
async fn database_survives_random_faults() -> anyhow::Result<()> {
    let number = from_variable(NUMBER)?.unwrap_or(DEFAULT_NUMBER);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let seed = from_variable(SEED)?.unwrap_or(now);
    println!("--- {NUMBER}={number} {SEED}={seed}");
    for faults in random_faults(number, seed)?.chunks(FAULTS_OF_A_DATABASE) {
        assert_survives(faults).await?;
    }
    Ok(())
}

fn random_faults(number: u64, seed: u64) -> anyhow::Result<Vec<(Fault, MemberRole)>> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut all = vec![Fault::StarveCpu(40)];
    all.extend(KILLS);
    all.extend([5, 15, 25].into_iter().flat_map(freezes));
    all.extend(ISOLATIONS);
    let roles = [MemberRole::Primary, MemberRole::Standby];
    let mut chosen = Vec::new();
    for _ in 0..number {
        let fault = all.choose(&mut random).context("no fault")?;
        let role = roles.choose(&mut random).context("no role")?;
        chosen.push((*fault, *role));
    }
    Ok(chosen)
}

fn from_variable(name: &str) -> anyhow::Result<Option<u64>> {
    let Ok(text) = std::env::var(name) else { return Ok(None) };
    Ok(Some(text.parse().with_context(|| format!("{name} is not a number: {text}"))?))
}
