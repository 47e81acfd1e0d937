//! The corpus of the fuzz target: complete, truncated and garbled. `make fuzz` searches for more inputs.

// Tells clippy that this is test code.
#![cfg(test)]

use std::path::Path;

use proptest::prelude::*;

#[path = "../fuzz/check.rs"]
mod check;

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/review");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 20, "the corpus is missing: {files:?}");
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

#[test]
fn every_prefix_of_a_body_is_answered_or_rejected() {
    for body in corpus() {
        for end in 0..=body.len() {
            check::check(&body[..end]);
        }
    }
}

proptest! {
    #[test]
    fn garbled_bodies_are_answered_or_rejected(
        at in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_usize..4), 1..6),
    ) {
        let corpus = corpus();
        let mut body = at.get(&corpus).clone();
        for (index, byte, length) in changes {
            let start = index.index(body.len());
            let end = (start + length).min(body.len());
            body.splice(start..end, [byte]);
        }
        check::check(&body);
    }

    #[test]
    fn random_bodies_are_answered_or_rejected(body in prop::collection::vec(any::<u8>(), 0..512)) {
        check::check(&body);
    }
}
