//! What was found out once about an object, shared by the clones of a client.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A value, once it is known.
#[derive(Clone, Debug)]
pub(super) struct Known<T>(Arc<Mutex<Option<T>>>);

/// A stored object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) uid: String,
}

/// The template of a version, once this runner has set it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SetTemplate {
    /// The image that was set.
    pub(super) image: String,
    /// The one that the API server has stored, which a webhook may have rewritten.
    pub(super) stored_image: Option<String>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Known<T> {
    pub(super) fn get(&self) -> Option<T> {
        self.lock().clone()
    }

    pub(super) fn set(&self, value: T) {
        *self.lock() = Some(value);
    }

    /// It is found out again before it is needed next.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
