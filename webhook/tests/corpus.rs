//! The corpus of the fuzz target, whole, cut short and garbled. `make fuzz` looks for more.

// Says to clippy what this is.
#![cfg(test)]

use std::path::Path;

use proptest::prelude::*;

#[path = "../fuzz/check.rs"]
mod check;

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/review");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 20, "the corpus is gone: {files:?}");
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

#[test]
fn answers_or_refuses_every_body_and_each_beginning_of_it() {
    for body in corpus() {
        for end in 0..=body.len() {
            check::check(&body[..end]);
        }
    }
}

proptest! {
    #[test]
    fn answers_or_refuses_garbled_bodies(
        at in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_usize..4), 1..6),
    ) {
        let corpus = corpus();
        let mut body = at.get(&corpus).clone();
        for (place, byte, length) in changes {
            let place = place.index(body.len());
            let end = (place + length).min(body.len());
            body.splice(place..end, [byte]);
        }
        check::check(&body);
    }

    #[test]
    fn answers_or_refuses_anything(body in prop::collection::vec(any::<u8>(), 0..512)) {
        check::check(&body);
    }
}
