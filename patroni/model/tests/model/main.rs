//! Properties that hold, and counterexamples that must be found. Each test prints how many states it visited.

mod commit;
mod lock;
mod pause;
mod report;
