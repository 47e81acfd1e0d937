//! The probe's loop.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use pgops_probe::{CONTROL, Line, Record, WRITES};

const CONNECT: Duration = Duration::from_millis(200);
const STATEMENT: Duration = Duration::from_secs(1);
/// The server is there, or will be within this time.
const SETUP: Duration = Duration::from_mins(1);

/// Where to write, as the environment says.
#[derive(Clone, Debug, clap::Parser)]
#[command(
    about = "Writes a row again and again, and reports how long no write was acknowledged, as lines of JSON"
)]
pub struct Options {
    /// Connection string without the password, such as `host=orders user=postgres dbname=pgops_probe`
    #[arg(long, env = "PROBE_DSN")]
    dsn: Config,
    /// Password of the user
    #[arg(long, env = "PGPASSWORD", hide_env_values = true)]
    password: String,
    /// Milliseconds from one write to the next
    #[arg(long, env = pgops_probe::INTERVAL_VARIABLE, default_value = "50")]
    interval: NonZeroU64,
}

/// Writes until it is told to stop, by its table or by SIGTERM; then prints the summary.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut config = options.dsn;
    config.password(options.password).connect_timeout(CONNECT).application_name("pgops-probe");
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut writer = Writer { config, client: None, next: 0 };
    writer.set_up().await?;

    let begin = Instant::now();
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
                record.acknowledged(n, begin.elapsed()).iter().for_each(print);
                if stop {
                    break;
                }
            }
            Err(error) => record.failed(format!("{error:#}")),
        }
        if begin.elapsed().as_secs() > second {
            second = begin.elapsed().as_secs();
            print(&record.progress(begin.elapsed()));
        }
    }
    print(&record.summary(begin.elapsed()));
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
        let begin = Instant::now();
        loop {
            match self.ask(&sql).await {
                Ok(next) => {
                    self.next = next.parse().context("failed to read the last number")?;
                    return Ok(());
                }
                Err(_) if begin.elapsed() < SETUP => tokio::time::sleep(CONNECT).await,
                Err(error) => return Err(error).context("failed to create the probe's tables"),
            }
        }
    }

    /// Writes the next number; whether the probe is told to stop.
    async fn write(&mut self) -> anyhow::Result<bool> {
        let sql = format!("INSERT INTO {WRITES} (n) VALUES ({}); SELECT stop FROM {CONTROL}", self.next);
        self.next += 1;
        Ok(self.ask(&sql).await? == "t")
    }

    /// The last value that the statements give. A connection that fails is not used again.
    async fn ask(&mut self, sql: &str) -> anyhow::Result<String> {
        let client = match self.client.take() {
            Some(client) if !client.is_closed() => client,
            _ => timeout(STATEMENT, connect(&self.config)).await.context("no answer to the connection")??,
        };
        let messages =
            timeout(STATEMENT, client.simple_query(sql)).await.context("no answer to the write")??;
        self.client = Some(client);
        let value = messages.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
            _ => None,
        });
        value.ok_or_else(|| anyhow!("the server gave no row"))
    }
}

async fn connect(config: &Config) -> anyhow::Result<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
