//! Code of users that an upgrade runs reaches no secret, nothing of another container, and no more than its own task. It can
//! neither answer in the agent's place nor keep the runner waiting.

use anyhow::ensure;
use pgops_e2e::{assert_untouched, fails_in_pg_upgrade, with_namespace};

/// The error of a restore whose code has reached nothing, and of one whose code has: messages of its own are not shown.
const NOTHING: &str = "division by zero";
const SOMETHING: &str = "cannot take square root of a negative number";

/// A definition that runs code when it is restored: what the code sees around it decides about the error of the restore. The
/// function belongs to the superuser, so only the isolation of the containers stops it.
///
/// Each line of its output is one thing that it could reach; the last but one counts the processes whose plan it sees.
fn probe(acts_in: &str, writes_to: &str) -> String {
    let script = format!(
        "cat /var/run/secrets/kubernetes.io/serviceaccount/token 2>/dev/null | cut -c1-12
         cat /etc/pgops/auth/username 2>/dev/null
         ls -d /var/run/secrets/kubernetes.io /etc/pgops/auth 2>/dev/null
         for file in {writes_to}; do touch $file/probe 2>/dev/null && echo wrote $file; done
         for process in /proc/[0-9]*; do
           tr '\\0' ' ' < $process/cmdline 2>/dev/null | grep -Eq '^[^ ]*(pgops-runner|/proc/self/exe) agent ' &&
             ls $process/fd >/dev/null 2>&1 && echo traced $process
         done
         cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c PGOPS_PLAN
         echo end"
    );
    format!(
        "CREATE SCHEMA s;
         CREATE FUNCTION s.act() RETURNS int VOLATILE LANGUAGE plpgsql AS $act$
           BEGIN
             EXECUTE $q$COPY (SELECT WHERE false) TO PROGRAM $script$({script}) > /tmp/seen$script$$q$;
             IF pg_read_file('/tmp/seen') = E'0\\nend\\n' THEN PERFORM 1 / 0; END IF;
             PERFORM sqrt(-1);
           END $act$;
         CREATE FUNCTION s.key(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
           IF current_setting('data_directory') LIKE '{acts_in}' THEN PERFORM s.act(); END IF; RETURN 0; END $$;
         CREATE TABLE s.t (a int) PARTITION BY RANGE ((a + s.key(1)))"
    )
}

async fn assert_reaches_nothing(acts_in: &str, writes_to: &str, reason: &str) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        orders.sql("postgres", &probe(acts_in, writes_to)).await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let (found, message) = upgrade.wait_failed().await?;
        ensure!(found == reason, "{found}: {message}");
        ensure!(message.contains(NOTHING) && !message.contains(SOMETHING), "{message}");
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

#[tokio::test]
async fn code_in_the_rehearsal_reaches_no_secret_and_no_volume() -> anyhow::Result<()> {
    let foreign = "/ /pgops/bin /run/pgops/dumps /run/pgops/programs /var/pv";
    assert_reaches_nothing("/tmp/pgops/%", foreign, "PreflightFailed").await
}

#[tokio::test]
async fn code_in_pg_upgrade_reaches_no_secret() -> anyhow::Result<()> {
    assert_reaches_nothing(
        "/var/pv/17/%",
        "/ /pgops/bin /pgops/old /run/pgops/rehearsal /var/pv/.pgops",
        "PgUpgradedFailed",
    )
    .await
}

/// Attacks in `pg_upgrade`; returns why it has failed. The old version serves, and no role has gained a right.
async fn assert_attack_fails(statements: &[&str]) -> anyhow::Result<String> {
    let mut why = String::new();
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        why = fails_in_pg_upgrade(&orders, statements).await?;
        Ok(())
    })
    .await?;
    Ok(why)
}

/// Listens at the agent's socket in its place, and answers "Done" to whatever it is asked: also to the order to kill it.
const IMPOSTOR: &str = r#"use Socket; my $path = "/run/pgops/programs/agent.sock"; rename $path, "$path.taken";
    socket(my $s, PF_UNIX, SOCK_STREAM, 0); bind($s, sockaddr_un($path)); listen($s, 99);
    while (accept(my $c, $s)) { syswrite $c, pack("N", 6) . chr(34) . "Done" . chr(34); push @asked, $c }"#;

#[tokio::test]
async fn code_in_pg_upgrade_does_not_answer_in_the_agents_place() -> anyhow::Result<()> {
    let write = format!("COPY (SELECT $perl${}$perl$) TO '/tmp/impostor.pl'", IMPOSTOR.replace('\n', " "));
    let start = "COPY (SELECT WHERE false) TO PROGRAM \
                 'setsid perl /tmp/impostor.pl > /dev/null 2>&1 < /dev/null & sleep 1'";
    let why = assert_attack_fails(&[&write, start, "ALTER ROLE tenant SUPERUSER"]).await?;
    ensure!(why.contains("role \"tenant\": SUPERUSER"), "{why}");
    Ok(())
}

/// In each pod that tries again the agent is stopped again.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn code_in_pg_upgrade_that_stops_the_agent_does_not_keep_the_database_down() -> anyhow::Result<()> {
    let stop = "COPY (SELECT WHERE false) TO PROGRAM $script$
        for process in /proc/[0-9]*; do
          tr '\\0' ' ' < $process/cmdline | grep -q '^/proc/self/exe agent ' && kill -STOP ${process#/proc/}
        done; true$script$";
    let why = assert_attack_fails(&[stop, "ALTER ROLE tenant SUPERUSER"]).await?;
    ensure!(why.contains("has not answered"), "{why}");
    Ok(())
}
