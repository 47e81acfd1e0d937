//! A hostile volume: what a superuser of the database may have put where pgops reads and writes.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use rstest::rstest;

use crate::{FileError, Interlock, Tree, Volume};

/// Far longer than any of these operations takes, unless it blocks.
const LIMIT: Duration = Duration::from_secs(20);
const SECRET: &str = "17\n";

/// A volume, and next to it a directory that is none of its business.
struct Hostile {
    root: tempfile::TempDir,
    volume: Volume,
}

impl Hostile {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let volume = Volume::at(root.path().join("volume"));
        fs::create_dir_all(volume.state_dir()).unwrap();
        fs::create_dir_all(root.path().join("outside/directory")).unwrap();
        let hostile = Self { root, volume };
        fs::write(hostile.secret(), SECRET).unwrap();
        fs::write(hostile.secret().with_file_name("directory/file"), SECRET).unwrap();
        hostile
    }

    /// A file outside of the volume. Its content would be a valid active version.
    fn secret(&self) -> PathBuf {
        self.root.path().join("outside/secret")
    }

    fn path(&self, path: &str) -> PathBuf {
        self.volume.root().join(path)
    }

    /// Nothing outside was changed, added or removed.
    fn assert_outside_is_unchanged(&self) {
        assert_eq!(fs::read_to_string(self.secret()).unwrap(), SECRET);
        let outside = self.root.path().join("outside");
        let names = |path: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&outside), ["directory", "secret"]);
        assert_eq!(names(&outside.join("directory")), ["file"]);
    }
}

/// What is put at a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Obstacle {
    LinkToFile,
    LinkToDirectory,
    LinkToNothing,
    Fifo,
    Directory,
    EndlessFile,
}

impl Obstacle {
    fn put(self, hostile: &Hostile, path: &Path) {
        match self {
            Self::LinkToFile => symlink(hostile.secret(), path).unwrap(),
            Self::LinkToDirectory => symlink(hostile.secret().with_file_name("directory"), path).unwrap(),
            Self::LinkToNothing => symlink(hostile.secret().with_file_name("new"), path).unwrap(),
            Self::Fifo => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
            Self::Directory => fs::create_dir(path).unwrap(),
            // Sparse: it takes no space.
            Self::EndlessFile => fs::File::create(path).unwrap().set_len(1 << 40).unwrap(),
        }
    }
}

/// Runs an operation that must not block.
fn timely<T: Send + 'static>(operation: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(operation()));
    receiver.recv_timeout(LIMIT).expect("the operation blocks")
}

#[rstest]
fn reading_refuses_what_is_not_a_regular_file_of_the_volume(
    #[values(
        Obstacle::LinkToFile,
        Obstacle::LinkToDirectory,
        Obstacle::LinkToNothing,
        Obstacle::Fifo,
        Obstacle::Directory,
        Obstacle::EndlessFile
    )]
    obstacle: Obstacle,
) {
    let hostile = Hostile::new();
    obstacle.put(&hostile, &hostile.path(".pgops/active"));
    let volume = hostile.volume.clone();
    let error = timely(move || volume.active()).unwrap_err();
    assert!(error.is_refusal(), "{error}: {}", error.source().unwrap());
}

#[rstest]
fn replacing_a_file_replaces_the_obstacle_itself(
    #[values(
        Obstacle::LinkToFile,
        Obstacle::LinkToDirectory,
        Obstacle::LinkToNothing,
        Obstacle::Fifo,
        Obstacle::EndlessFile
    )]
    obstacle: Obstacle,
    #[values(".pgops/active", ".pgops/active.new")] path: &str,
) {
    let hostile = Hostile::new();
    obstacle.put(&hostile, &hostile.path(path));
    let volume = hostile.volume.clone();
    timely(move || volume.set_active(13)).unwrap();
    assert_eq!(hostile.volume.active().unwrap(), Some(13));
    hostile.assert_outside_is_unchanged();
}

#[rstest]
fn updating_a_file_in_place_refuses_obstacles(
    #[values(
        Obstacle::LinkToFile,
        Obstacle::LinkToDirectory,
        Obstacle::LinkToNothing,
        Obstacle::Fifo,
        Obstacle::Directory
    )]
    obstacle: Obstacle,
) {
    let hostile = Hostile::new();
    let path = hostile.path(".pgops/journal");
    obstacle.put(&hostile, &path);
    let tree = hostile.volume.tree().clone();
    assert!(timely(move || tree.open_for_update(&path)).is_err());
    hostile.assert_outside_is_unchanged();
}

#[test]
fn updating_a_file_in_place_refuses_a_hard_link_and_replacing_leaves_the_other_name_alone() {
    let hostile = Hostile::new();
    let (data, journal) = (hostile.path("data"), hostile.path(".pgops/active"));
    fs::write(&data, "precious").unwrap();
    fs::hard_link(&data, &journal).unwrap();
    assert!(hostile.volume.tree().open_for_update(&journal).unwrap_err().is_refusal());
    let mut file = hostile.volume.tree().create_file(&journal).unwrap();
    file.write_all(b"new").unwrap();
    hostile.volume.set_active(13).unwrap();
    assert_eq!(fs::read_to_string(&data).unwrap(), "precious");
}

#[rstest]
fn interlock_is_neither_created_elsewhere_nor_waited_for(
    #[values(Obstacle::LinkToFile, Obstacle::LinkToNothing, Obstacle::Fifo)] obstacle: Obstacle,
) {
    let hostile = Hostile::new();
    obstacle.put(&hostile, &hostile.path(".pgops/interlock"));
    let volume = hostile.volume.clone();
    assert!(timely(move || Interlock::try_take(&volume)).is_err());
    hostile.assert_outside_is_unchanged();
}

type Operation = fn(&Tree, &Path) -> Result<(), FileError>;

/// Every operation, on `link/file`, where `link` leads to a directory with a file of that name.
#[rstest]
#[case::read(|tree: &Tree, path: &Path| tree.read_if_exists(path).map(drop))]
#[case::read_text(|tree: &Tree, path: &Path| tree.read_text_if_exists(path).map(drop))]
#[case::read_end(|tree: &Tree, path: &Path| tree.read_end(path, 10).map(drop))]
#[case::open(|tree: &Tree, path: &Path| tree.open(path).map(drop))]
#[case::list(|tree: &Tree, path: &Path| tree.list_if_exists(path.parent().unwrap()).map(drop))]
#[case::list_below(|tree: &Tree, path: &Path| tree.files_below(path.parent().unwrap()).map(drop))]
#[case::exists(|tree: &Tree, path: &Path| tree.exists(path).map(drop))]
#[case::is_dir(|tree: &Tree, path: &Path| tree.is_dir(path).map(drop))]
#[case::link_target(|tree: &Tree, path: &Path| tree.link_target(path).map(drop))]
#[case::size(|tree: &Tree, path: &Path| tree.size(path.parent().unwrap()).map(drop))]
#[case::replace(|tree: &Tree, path: &Path| tree.replace(path, b"new"))]
#[case::create_file(|tree: &Tree, path: &Path| tree.create_file(path).map(drop))]
#[case::open_for_update(|tree: &Tree, path: &Path| tree.open_for_update(path).map(drop))]
#[case::rename_from(|tree: &Tree, path: &Path| tree.rename(path, &tree.root().join("here")))]
#[case::rename_to(|tree: &Tree, path: &Path| tree.rename(&tree.root().join(".pgops"), path))]
#[case::sync_dir(|tree: &Tree, path: &Path| tree.sync_dir(path.parent().unwrap()))]
#[case::create_dir(|tree: &Tree, path: &Path| tree.create_dir(&path.with_file_name("new")))]
#[case::close_to_others(|tree: &Tree, path: &Path| tree.close_to_others(path.parent().unwrap()))]
#[case::remove_file(|tree: &Tree, path: &Path| tree.remove_file(path))]
#[case::remove_empty_dir(|tree: &Tree, path: &Path| tree.remove_empty_dir(path))]
#[case::remove_dir(|tree: &Tree, path: &Path| tree.remove_dir(path))]
fn no_operation_follows_a_link_in_a_path_or_leaves_the_tree(#[case] operation: Operation) {
    let hostile = Hostile::new();
    let outside = hostile.secret().with_file_name("directory");
    symlink(&outside, hostile.path("link")).unwrap();
    let tree = hostile.volume.tree();
    for directory in [hostile.path("link"), outside, hostile.path("../outside/directory")] {
        let error = operation(tree, &directory.join("file")).unwrap_err();
        assert!(error.is_refusal(), "{error}: {}", error.source().unwrap());
        hostile.assert_outside_is_unchanged();
    }
}

#[test]
fn removing_a_directory_removes_links_in_it_and_not_what_they_lead_to() {
    let hostile = Hostile::new();
    let data_dir = hostile.volume.data_dir(13);
    fs::create_dir_all(data_dir.join("pg_tblspc")).unwrap();
    symlink(hostile.secret().parent().unwrap(), data_dir.join("pg_tblspc/16400")).unwrap();
    symlink(hostile.secret(), data_dir.join("PG_VERSION")).unwrap();
    hostile.volume.tree().remove_dir(&data_dir).unwrap();
    assert!(!data_dir.exists());
    symlink(hostile.secret().parent().unwrap(), &data_dir).unwrap();
    hostile.volume.tree().remove_dir(&data_dir).unwrap();
    assert!(data_dir.symlink_metadata().is_err());
    hostile.assert_outside_is_unchanged();
}

#[test]
fn directories_without_an_end_do_not_exhaust_the_stack() {
    let hostile = Hostile::new();
    let mut deep = hostile.path("deep");
    for _ in 0..200 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    let tree = hostile.volume.tree();
    assert!(tree.remove_dir(&hostile.path("deep")).unwrap_err().is_refusal());
    assert!(tree.size(&hostile.path("deep")).unwrap_err().is_refusal());
    assert!(tree.files_below(&hostile.path("deep")).unwrap().is_empty());
}

#[test]
fn refusal_names_the_path_the_reason_and_the_remedy() {
    let hostile = Hostile::new();
    symlink(hostile.secret(), hostile.path(".pgops/active")).unwrap();
    let error = hostile.volume.active().unwrap_err();
    assert!(error.to_string().ends_with("/.pgops/active"), "{error}");
    let reason = error.source().unwrap().to_string();
    assert!(reason.contains("\"active\" is a symbolic link") && reason.contains("remove"), "{reason}");
}
