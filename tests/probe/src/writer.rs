//! The probe's loop.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use pgops_probe::{CONTROL, Line, Record, WRITES};

const CONNECT_TIMEOUT: Duration = Duration::from_millis(200);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between attempts to create the tables.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// The server is available within this time.
const SETUP_TIMEOUT: Duration = Duration::from_mins(1);

/// The command line.
#[derive(Clone, Debug, clap::Parser)]
#[command(
    about = "Writes rows continuously, and reports how long no write was acknowledged, as lines of JSON"
)]
pub struct Options {
    /// Connection string without the password, such as `host=orders user=postgres dbname=pgops_probe`
    #[arg(long, env = "PROBE_DSN")]
    dsn: Config,
    /// Password of the user
    #[arg(long, env = "PGPASSWORD", hide_env_values = true)]
    password: String,
    /// Milliseconds between writes
    #[arg(long, env = pgops_probe::INTERVAL_VARIABLE, default_value = "50")]
    interval: NonZeroU64,
}

/// Writes until it is stopped, by the control table or by SIGTERM; then prints the summary.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut config = options.dsn;
    config.password(options.password).connect_timeout(CONNECT_TIMEOUT).application_name("pgops-probe");
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut writer = Writer { config, client: None, next: 0 };
    writer.set_up().await?;

    let start = Instant::now();
    let mut record = Record::default();
    let mut ticks = interval(Duration::from_millis(options.interval.get()));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut second = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = terminate.recv() => break,
        }
        let n = writer.next;
        match writer.write().await {
            Ok(stop) => {
                record.acknowledged(n, start.elapsed()).iter().for_each(print);
                if stop {
                    break;
                }
            }
            Err(error) => record.failed(format!("{error:#}")),
        }
        if start.elapsed().as_secs() > second {
            second = start.elapsed().as_secs();
            print(&record.progress(start.elapsed()));
        }
    }
    print(&record.summary(start.elapsed()));
    Ok(())
}

fn print(line: &Line) {
    if let Ok(json) = serde_json::to_string(line) {
        println!("{json}");
    }
}

struct Writer {
    config: Config,
    client: Option<Client>,
    next: u64,
}

impl Writer {
    async fn set_up(&mut self) -> anyhow::Result<()> {
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {WRITES} (n bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp());
             CREATE TABLE IF NOT EXISTS {CONTROL} (stop bool NOT NULL);
             TRUNCATE {CONTROL};
             INSERT INTO {CONTROL} VALUES (false);
             SELECT coalesce(max(n) + 1, 0) FROM {WRITES}"
        );
        let start = Instant::now();
        loop {
            match self.query(&sql).await {
                Ok(next) => {
                    self.next = next.parse().context("failed to read the last number")?;
                    return Ok(());
                }
                Err(_) if start.elapsed() < SETUP_TIMEOUT => tokio::time::sleep(RETRY_INTERVAL).await,
                Err(error) => return Err(error).context("failed to create the probe's tables"),
            }
        }
    }

    /// Writes the next number; returns whether the probe should stop.
    async fn write(&mut self) -> anyhow::Result<bool> {
        let sql = format!("INSERT INTO {WRITES} (n) VALUES ({}); SELECT stop FROM {CONTROL}", self.next);
        self.next += 1;
        Ok(self.query(&sql).await? == "t")
    }

    /// Runs the statements and returns their last value. A failed connection is not used again.
    async fn query(&mut self, sql: &str) -> anyhow::Result<String> {
        let client = match self.client.take() {
            Some(client) if !client.is_closed() => client,
            _ => {
                timeout(STATEMENT_TIMEOUT, connect(&self.config)).await.context("timed out connecting")??
            }
        };
        let messages =
            timeout(STATEMENT_TIMEOUT, client.simple_query(sql)).await.context("timed out writing")??;
        self.client = Some(client);
        let value = messages.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
            _ => None,
        });
        value.ok_or_else(|| anyhow!("the server returned no row"))
    }
}

async fn connect(config: &Config) -> anyhow::Result<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
