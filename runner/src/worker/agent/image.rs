//! What the image of this container has.

use std::fs;

use crate::agent::protocol::{ImageTask, Response};
use crate::postgres::program::installation::Installation;
use crate::postgres::program::offer::Offer;

/// Answers a question about the image.
pub fn answer(task: ImageTask) -> Result<Response, String> {
    Ok(match task {
        ImageTask::FindInstallation { root, major } => {
            Response::Installation(Installation::find(&root, major))
        }
        ImageTask::HasLibraries { installation, libraries } => {
            Response::Found(libraries.iter().map(|library| installation.has_library(library)).collect())
        }
        ImageTask::KnowsOptions { installation, options } => {
            let program = installation.program("postgres");
            let server = fs::read(&program)
                .map_err(|error| format!("failed to read {}: {error}", program.display()))?;
            let finder =
                |option: &String| memchr::memmem::find(&server, format!("\0{option}\0").as_bytes()).is_some();
            Response::Found(options.iter().map(finder).collect())
        }
        ImageTask::Offer { installation } => Response::Offer(
            Offer::read(&installation.sharedir).map_err(|error| pgops_api::display_chain(&error))?,
        ),
    })
}
