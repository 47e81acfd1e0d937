//! Files of the container in which the agent runs.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use pgops_volume::FileError;

use crate::agent::protocol::{FileTask, Response};
use crate::missing::ignore_not_found;
use crate::postgres::pg_upgrade::logs;
use crate::postgres::program::pg_dump;

/// Answers a task about files.
pub fn answer(task: FileTask) -> Result<Response, String> {
    let done = |result: Result<(), FileError>| result.map(|()| Response::Done);
    let result = match task {
        FileTask::ListDirectory { path } => names(&path).map(Response::Names),
        FileTask::ReadFile { path } => read(&path).map(Response::Text),
        FileTask::WriteFile { path, content } => done(write(&path, &content)),
        FileTask::EmptyDirectory { path } => done(empty(&path)),
        FileTask::RemoveDirectory { path } => done(remove(&path)),
        FileTask::LinkPrograms { bindir, into } => done(link_programs(&bindir, &into)),
        FileTask::ReadLogs { directories } => Ok(Response::Logs(logs::read(&directories))),
    };
    result.map_err(|error| pgops_api::display_chain(&error))
}

fn names(directory: &Path) -> Result<Vec<String>, FileError> {
    let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    let entries = fs::read_dir(directory).and_then(|entries| entries.map(name).collect());
    entries.map_err(FileError::on("list", directory))
}

fn read(path: &Path) -> Result<String, FileError> {
    let text = fs::read(path).map_err(FileError::on("read", path))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn write(path: &Path, content: &str) -> Result<(), FileError> {
    let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
    parent.and_then(|()| fs::write(path, content)).map_err(FileError::on("write", path))
}

fn remove(directory: &Path) -> Result<(), FileError> {
    ignore_not_found(fs::remove_dir_all(directory)).map_err(FileError::on("remove", directory))
}

fn empty(directory: &Path) -> Result<(), FileError> {
    remove(directory)?;
    fs::create_dir_all(directory).map_err(FileError::on("create", directory))
}

fn link_programs(bindir: &Path, into: &Path) -> Result<(), FileError> {
    empty(into)?;
    let link = |entry: io::Result<fs::DirEntry>| {
        let name = entry?.file_name();
        let target: PathBuf = if name == pg_dump::NAME { pg_dump::runner_path() } else { bindir.join(&name) };
        symlink(target, into.join(name))
    };
    let linked = fs::read_dir(bindir).and_then(|mut entries| entries.try_for_each(link));
    linked.map_err(FileError::on("link the programs of", bindir))
}
