use std::time::Duration;

use futures::FutureExt;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::*;
use crate::agent::Agent;
use crate::agent::protocol::Command;

mod hostile;

/// An agent in this process.
pub struct TestAgent {
    pub client: Agent,
    runner: std::os::unix::net::UnixStream,
    task: JoinHandle<()>,
}

impl TestAgent {
    pub fn start() -> Self {
        let (runner, agent) = std::os::unix::net::UnixStream::pair().unwrap();
        let client = Agent::new("programs", control(&runner));
        let agent = control(&agent);
        let sessions = Arc::new(Sessions::among_other_processes());
        let task = tokio::spawn(async move { serve_runner(&agent, &sessions).await });
        Self { client, runner, task }
    }

    /// The handle of the next runner of the pod, which has the same connection.
    fn another_client(&self) -> Agent {
        Agent::new("programs", control(&self.runner))
    }
}

fn control(stream: &std::os::unix::net::UnixStream) -> Control {
    let stream = stream.try_clone().unwrap();
    stream.set_nonblocking(true).unwrap();
    Control::new(UnixStream::from_std(stream).unwrap())
}

impl Drop for TestAgent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn shell(script: &str) -> Task {
    Task::Run(Command {
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        current_dir: None,
        holds_interlock: false,
    })
}

/// A program of one session ends before the next session begins: a runner that resumes finds none of them at work.
#[tokio::test]
async fn next_session_ends_the_programs_of_the_previous_one() {
    let agent = TestAgent::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("beats");
    let script = format!("while :; do echo beat >> {}; sleep 0.01; done", file.display());
    let _running = agent.client.request(shell(&script), None).await.unwrap();
    let beats = || std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
    while beats() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    agent.another_client().stop_server(directory.path().to_owned()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let before = beats();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(beats(), before);
}

#[tokio::test]
async fn end_of_a_session_is_noticed_without_a_request() {
    let agent = TestAgent::start();
    agent.client.check_session().await.unwrap();
    agent.client.kill_all().await.unwrap();
    agent.client.check_session().await.unwrap();
    agent.another_client().kill_all().await.unwrap();
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    while agent.client.check_session().await.is_ok() {
        assert!(tokio::time::Instant::now() < end, "the end of the session was not noticed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = agent.client.check_session().await.unwrap_err();
    assert_eq!(error.lost_container(), Some("programs"));
}

#[tokio::test]
async fn request_without_a_session_is_refused() {
    let agent = TestAgent::start();
    let mut channel = control(&agent.runner).open(None).await.unwrap();
    channel.send(&Request::Perform(shell("true"))).await.unwrap();
    let answer = channel.receive::<Response>().await.unwrap();
    assert_eq!(answer, Some(Response::Failed("no session has begun".to_owned())));
}

/// Code of users that runs in the agent's container may do what it wants in the directory of the socket.
#[tokio::test]
async fn socket_that_was_replaced_between_two_requests_is_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("agent.sock");
    tokio::spawn(serve(listen(&socket).unwrap(), Sessions::among_other_processes()));
    let connection = crate::agent::handover::connect("programs", &socket).await.unwrap();
    let client = Agent::new("programs", control(&connection.into()));
    client.kill_all().await.unwrap();
    let error = UnixStream::connect(&socket).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "the agent accepts no second client");
    fs::rename(&socket, directory.path().join("taken")).unwrap();
    let impostor = UnixListener::bind(&socket).unwrap();
    client.stop_server(directory.path().to_owned()).await.unwrap();
    client.kill_all().await.unwrap();
    client.check_session().await.unwrap();
    assert!(impostor.accept().now_or_never().is_none(), "the runner has connected to it");
}

/// With a paused clock it says so again and again, as often as time is found to have passed.
#[tokio::test(start_paused = true)]
async fn agent_says_that_it_is_at_work_while_a_program_writes_nothing() {
    let agent = TestAgent::start();
    let mut channel = agent.client.request(shell("sleep 0.1; exit 3"), None).await.unwrap();
    assert_eq!(agent.client.answer(&mut channel).await.unwrap(), Response::AtWork);
    loop {
        match agent.client.answer(&mut channel).await.unwrap() {
            Response::AtWork => {}
            Response::Ended(exit) => return assert!(!exit.success),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn server_that_does_not_listen_is_an_error_and_the_agent_continues() {
    let agent = TestAgent::start();
    let error = agent.client.connect_server("/nonexistent/socket".into()).await.unwrap_err();
    assert!(error.lost_container().is_none() && error.to_string().contains("/nonexistent/socket"), "{error}");
    agent.client.kill_all().await.unwrap();
}

/// What is at work on files cannot be killed.
#[tokio::test]
async fn session_begins_after_the_work_on_files_of_the_previous_one() {
    let sessions = Arc::new(Sessions::among_other_processes());
    sessions.begin().await.unwrap();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let work = tokio::spawn({
        let sessions = sessions.clone();
        async move { sessions.blocking(move || ended.recv().map_err(|error| error.to_string())).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut next = std::pin::pin!(sessions.begin());
    let waited = tokio::time::timeout(Duration::from_millis(100), &mut next).await;
    assert!(waited.is_err(), "a session has begun meanwhile");
    end.send(()).unwrap();
    next.await.unwrap();
    work.await.unwrap().unwrap();
}

#[tokio::test]
async fn program_that_needs_the_interlock_does_not_start_without_it() {
    let agent = TestAgent::start();
    let Task::Run(command) = shell("true") else { unreachable!() };
    let task = Task::Run(Command { holds_interlock: true, ..command });
    let mut connection = agent.client.request(task, None).await.unwrap();
    let error = agent.client.answer(&mut connection).await.unwrap_err();
    assert!(error.to_string().contains("interlock"), "{error}");
}

#[tokio::test]
async fn files_are_written_listed_read_and_removed() {
    let agent = TestAgent::start();
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("work");
    agent.client.write_file(directory.join("hba"), "local".to_owned()).await.unwrap();
    assert_eq!(agent.client.list_directory(directory.clone()).await.unwrap(), ["hba"]);
    assert_eq!(agent.client.read_file(directory.join("hba")).await.unwrap(), "local");
    agent.client.empty_directory(directory.clone()).await.unwrap();
    assert!(agent.client.list_directory(directory.clone()).await.unwrap().is_empty());
    agent.client.remove_directory(directory.clone()).await.unwrap();
    agent.client.remove_directory(directory.clone()).await.unwrap();
    let error = agent.client.read_file(directory.join("hba")).await.unwrap_err().to_string();
    assert!(error.contains("failed to read"), "{error}");
}
