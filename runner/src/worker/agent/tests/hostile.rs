//! What the runner does about an agent that answers wrongly, late or never. No code of users can be one, so this is what a fault
//! of the agent, or a tampered image, could do.

use std::time::Duration;

use futures::FutureExt;
use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::agent::connection::Connection;
use crate::agent::control::Control;
use crate::agent::protocol::{Exit, HEARTBEAT, Request, Response, ServerProcess, Stream, Task};
use crate::agent::{Agent, AgentError};
use crate::postgres::program::command::{CommandError, Program};

/// The runner's handle of an agent that does what `answer` does with each of its requests. A session has begun.
fn hostile_agent<F: Future<Output = ()> + Send + 'static>(
    answer: impl Fn(Task, Connection) -> F + Send + Sync + Copy + 'static,
) -> Agent {
    hostile_to_channels(move |mut channel| async move {
        match channel.receive().await {
            Ok(Some(Request::Begin { version })) => {
                channel.send(&Response::Begun { version }).await.unwrap();
                channel.closed().await;
            }
            Ok(Some(Request::Perform(task))) => answer(task, channel).await,
            other => panic!("{other:?}"),
        }
    })
}

/// The same of an agent that does what `answer` does with each channel.
fn hostile_to_channels<F: Future<Output = ()> + Send + 'static>(
    answer: impl Fn(Connection) -> F + Send + 'static,
) -> Agent {
    let (runner, agent) = UnixStream::pair().unwrap();
    let control = Control::new(agent);
    tokio::spawn(async move {
        while let Ok((channel, _)) = control.accept().await {
            tokio::spawn(answer(channel));
        }
    });
    Agent::new("programs", Control::new(runner))
}

/// Whatever it sends, the runner gets an error.
#[rstest::rstest]
#[case::another_answer(serde_json::to_vec(&Response::Found(vec![true])).unwrap())]
#[case::another_version(serde_json::to_vec(&Response::Begun { version: 7 }).unwrap())]
#[case::not_json(b"{".to_vec())]
#[case::unknown_answer(br#"{"Pwned":{}}"#.to_vec())]
#[case::nested_too_deeply([&br#"{"Text":"#[..], &vec![b'['; 100_000]].concat())]
#[tokio::test]
async fn hostile_answer_is_an_error(#[case] answer: Vec<u8>) {
    let agent = hostile_to_channels(move |mut channel| {
        let answer = answer.clone();
        async move {
            channel.receive::<Request>().await.unwrap();
            channel.send_raw(answer).await.unwrap();
        }
    });
    let error = agent.kill_all().await.unwrap_err();
    assert!(
        matches!(error, AgentError::Unexpected { .. } | AgentError::Version { .. } | AgentError::Lost { .. }),
        "{error:?}"
    );
}

/// A program's output that does not end is not read to its end.
#[tokio::test]
async fn endless_output_is_an_error() {
    let agent = hostile_agent(|_, mut channel| async move {
        let output = Response::Output { stream: Stream::Err, line: "x".repeat(1 << 20) };
        while channel.send(&output).await.is_ok() {}
    });
    let program = Program::new(&agent, std::path::Path::new("/usr/bin/pg_upgrade"));
    let error = program.output().await.unwrap_err();
    assert!(matches!(error, CommandError::TooMuchOutput { .. }), "{error:?}");
}

/// It accepts a request, and never answers; so does one that code of users has stopped.
#[tokio::test(start_paused = true)]
async fn silent_agent_is_given_up_and_not_asked_again() {
    let agent = hostile_agent(|_, channel| async move {
        std::future::pending::<()>().await;
        drop(channel);
    });
    let began = Instant::now();
    let error = agent.kill_all().await.unwrap_err();
    assert!(matches!(error, AgentError::Silent { .. }), "{error:?}");
    assert!(began.elapsed() <= Duration::from_secs(61), "{:?}", began.elapsed());
    let again = Instant::now();
    assert_eq!(agent.kill_all().await.unwrap_err().lost_container(), Some("programs"));
    let program = Program::new(&agent, std::path::Path::new("/usr/bin/pg_upgrade"));
    assert!(matches!(program.output().await.unwrap_err(), CommandError::Agent { .. }));
    assert_eq!(agent.check_session().await.unwrap_err().lost_container(), Some("programs"));
    assert_eq!(again.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn silence_during_a_program_ends_it() {
    let agent = hostile_agent(|_, mut channel| async move {
        channel.send(&Response::AtWork).await.unwrap();
        channel.closed().await;
    });
    let program = Program::new(&agent, std::path::Path::new("/usr/bin/pg_upgrade"));
    let error = program.output().await.unwrap_err();
    assert!(matches!(error, CommandError::Agent { source: AgentError::Silent { .. }, .. }), "{error:?}");
}

/// A program may take hours without output, another task may not.
#[tokio::test(start_paused = true)]
async fn agent_that_is_at_work_has_any_time_for_a_program_only() {
    let agent = hostile_agent(|_, mut channel| async move {
        for _ in 0..1000 {
            tokio::time::sleep(HEARTBEAT).await;
            if channel.send(&Response::AtWork).await.is_err() {
                return;
            }
        }
        let exit = Exit { success: true, status: "exit status: 0".to_owned() };
        channel.send(&Response::Ended(exit)).await.unwrap();
    });
    let program = Program::new(&agent, std::path::Path::new("/usr/bin/pg_upgrade"));
    program.output().await.unwrap();
    let error = agent.kill_all().await.unwrap_err();
    assert!(matches!(error, AgentError::Silent { .. }), "{error:?}");
}

/// It drops the connection, and there is no other: nothing is looked up by a path.
#[tokio::test]
async fn agent_that_has_ended_is_not_asked_again() {
    let (runner, agent) = UnixStream::pair().unwrap();
    let client = Agent::new("programs", Control::new(runner));
    let ended = async {
        let control = Control::new(agent);
        let (mut session, _) = control.accept().await.unwrap();
        let Some(Request::Begin { version }) = session.receive().await.unwrap() else { panic!("no session") };
        session.send(&Response::Begun { version }).await.unwrap();
        control.accept().await.unwrap();
    };
    let (result, ()) = tokio::join!(client.kill_all(), ended);
    assert!(matches!(result.unwrap_err(), AgentError::Lost { .. }));
    assert_eq!(client.kill_all().await.unwrap_err().lost_container(), Some("programs"));
}

/// The answer to one request, on the channel of another.
#[tokio::test]
async fn answers_out_of_order_are_an_error() {
    let agent = hostile_agent(|task, mut channel| async move {
        let answer = match task {
            Task::KillAll => Response::Count(4),
            _ => Response::Done,
        };
        channel.send(&answer).await.unwrap();
    });
    let (killed, counted) = tokio::join!(agent.kill_all(), agent.processors());
    assert!(matches!(killed.unwrap_err(), AgentError::Unexpected { .. }));
    assert!(matches!(counted.unwrap_err(), AgentError::Unexpected { .. }));
    // Nor is a later answer that fits.
    assert_eq!(agent.kill_all().await.unwrap_err().lost_container(), Some("programs"));
}

/// In place of a connection to a server comes nothing, something else, or an answer without it.
#[tokio::test]
async fn server_without_a_connection_is_an_error() {
    let connected = || Response::Connected(ServerProcess { pid: 1, started: 1 });
    let nothing = hostile_agent(move |_, mut channel| async move {
        channel.send_descriptor(None).await.unwrap();
        channel.send(&connected()).await.unwrap();
    });
    let file = hostile_agent(move |_, mut channel| async move {
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        channel.send_descriptor(Some(std::os::fd::AsFd::as_fd(&file))).await.unwrap();
        channel.send(&connected()).await.unwrap();
    });
    let answer_alone = hostile_agent(move |_, mut channel| async move {
        channel.send(&connected()).await.unwrap();
        channel.closed().await;
    });
    for agent in [nothing, file, answer_alone] {
        let error = agent.connect_server("/run/socket".into()).await.unwrap_err();
        assert_eq!(error.lost_container(), Some("programs"), "{error:?}");
        assert!(agent.kill_all().now_or_never().is_some_and(|result| result.is_err()));
    }
}
