use std::time::Duration;

use tokio::task::JoinHandle;

use super::*;
use crate::agent::protocol::{Command, Stream};
use crate::agent::{Agent, AgentError};
use crate::postgres::program::command::{CommandError, Program};

/// An agent in this process.
pub struct TestAgent {
    pub client: Agent,
    directory: tempfile::TempDir,
    task: JoinHandle<std::convert::Infallible>,
}

impl TestAgent {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = listen(&directory.path().join("agent.sock")).unwrap();
        let client = Agent::new("programs", directory.path().join("agent.sock"));
        Self { client, task: tokio::spawn(serve(listener)), directory }
    }

    /// Another runner's handle of this agent.
    fn another_client(&self) -> Agent {
        Agent::new("programs", self.directory.path().join("agent.sock"))
    }
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
    let stream = UnixStream::connect(agent.directory.path().join("agent.sock")).await.unwrap();
    let mut connection = Connection::initiate(stream, None).await.unwrap();
    connection.send(&Request::Perform(shell("true"))).await.unwrap();
    let answer = connection.receive::<Response>().await.unwrap();
    assert_eq!(answer, Some(Response::Failed("no session has begun".to_owned())));
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

/// A container that was taken over by code of users: `answer` serves each of the runner's connections.
fn hostile_agent<F: Future<Output = ()> + Send + 'static>(
    answer: impl Fn(Connection) -> F + Send + 'static,
) -> (Agent, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("agent.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (connection, _) = Connection::accept(stream).await.unwrap();
            tokio::spawn(answer(connection));
        }
    });
    (Agent::new("programs", socket), directory)
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
    let (agent, _directory) = hostile_agent(move |mut connection| {
        let answer = answer.clone();
        async move {
            connection.receive::<Request>().await.unwrap();
            connection.send_raw(answer).await.unwrap();
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
    let (agent, _directory) = hostile_agent(|mut connection| async move {
        if let Some(Request::Begin { version }) = connection.receive().await.unwrap() {
            connection.send(&Response::Begun { version }).await.unwrap();
            return connection.closed().await;
        }
        let output = Response::Output { stream: Stream::Err, line: "x".repeat(1 << 20) };
        while connection.send(&output).await.is_ok() {}
    });
    let program = Program::new(&agent, Path::new("/usr/bin/pg_upgrade"));
    let error = program.output().await.unwrap_err();
    assert!(matches!(error, CommandError::TooMuchOutput { .. }), "{error:?}");
}
