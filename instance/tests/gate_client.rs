//! The program under the names of `PostgreSQL`'s programs.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

#[test]
fn program_becomes_the_one_by_whose_name_it_is_called() {
    let root = tempfile::tempdir().unwrap();
    let (run_dir, image) = (root.path().join("run"), root.path().join("image"));
    fs::create_dir_all(run_dir.join("bin")).unwrap();
    fs::create_dir(&image).unwrap();
    let program = image.join("postgres");
    fs::write(&program, "#!/bin/sh\necho \"$0 $*\"\n").unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    symlink(&image, run_dir.join("image")).unwrap();
    let link = run_dir.join("bin/postgres");
    symlink(env!("CARGO_BIN_EXE_pgops-instance"), &link).unwrap();

    let output = Command::new(&link).arg("--version").output().unwrap();
    let expected = format!("{} --version\n", program.display());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");

    let output = Command::new(&link).args(["-D", "/var/pv/17/data"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{text}");
    let socket = run_dir.join("gate.sock");
    assert!(text.contains(&format!("failed to ask PID 1 at {}", socket.display())), "{text}");
}
