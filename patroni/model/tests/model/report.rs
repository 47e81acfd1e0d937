use pgops_patroni_model::check::Outcome;

/// Prints how many states were visited, and steps to each property that does not hold.
pub fn report(name: &str, outcome: Outcome) -> Outcome {
    println!("{name}: {} states", outcome.states);
    for (property, steps) in &outcome.counterexamples {
        println!("  not always: {property}\n    {}", steps.join("\n    "));
    }
    for property in &outcome.unreachable {
        println!("  never: {property}");
    }
    outcome
}
