//! Work in stages, which overlap: while one item is in a stage, the next one is in the stage before.

use tokio::sync::mpsc;
use tokio::try_join;

/// How many results of a stage exist at most.
pub const AHEAD: usize = 2;

/// Takes each item through three stages, in the order of the items; the first error ends all of it.
///
/// A stage begins with an item only when there is a place for its result. So at any time at most [`AHEAD`] results of a stage
/// exist: the one that the next stage works on, and one that waits or is being made.
pub async fn pipeline<Item, First, Second, E>(
    items: impl IntoIterator<Item = Item>,
    mut first: impl AsyncFnMut(Item) -> Result<First, E>,
    mut second: impl AsyncFnMut(First) -> Result<Second, E>,
    mut third: impl AsyncFnMut(Second) -> Result<(), E>,
) -> Result<(), E> {
    let (to_second, mut of_first) = mpsc::channel(1);
    let (to_third, mut of_second) = mpsc::channel(1);
    let first_stage = async move {
        for item in items {
            // A later stage that has ended has failed, and says why.
            let Ok(place) = to_second.reserve().await else { break };
            place.send(first(item).await?);
        }
        Ok::<(), E>(())
    };
    let second_stage = async move {
        while let Some(item) = of_first.recv().await {
            let Ok(place) = to_third.reserve().await else { break };
            place.send(second(item).await?);
        }
        Ok::<(), E>(())
    };
    let third_stage = async move {
        while let Some(item) = of_second.recv().await {
            third(item).await?;
        }
        Ok::<(), E>(())
    };
    try_join!(first_stage, second_stage, third_stage).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::time::Duration;

    async fn work(milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn stages_overlap_and_items_keep_their_order() {
        let began = tokio::time::Instant::now();
        let mut seen = Vec::new();
        let stage = async |item: u64| {
            // Some items take longer in one stage, some in another one.
            work(10 + item % 3).await;
            Ok::<_, ()>(item)
        };
        pipeline(0..30, &stage, &stage, async |item| {
            seen.push(item);
            stage(item).await.map(drop)
        })
        .await
        .unwrap();
        assert_eq!(seen, (0..30).collect::<Vec<_>>());
        let took = began.elapsed();
        assert!(took < Duration::from_millis(33 * 13), "one stage after the other: {took:?}");
    }

    #[rstest::rstest]
    #[case::slow_first_stage(9, 1, 1)]
    #[case::slow_second_stage(1, 9, 1)]
    #[case::slow_third_stage(1, 1, 9)]
    #[tokio::test(start_paused = true)]
    async fn results_of_a_stage_that_exist_are_bounded(#[case] a: u64, #[case] b: u64, #[case] c: u64) {
        let (dumps, restored) = (&Cell::new(0), &Cell::new(0));
        let most = &Cell::new((0, 0));
        let change = |count: &Cell<i32>, by: i32| {
            count.set(count.get() + by);
            let (most_dumps, most_restored) = most.get();
            most.set((most_dumps.max(dumps.get()), most_restored.max(restored.get())));
        };
        let first = async |item| {
            change(dumps, 1);
            work(a).await;
            Ok::<u32, ()>(item)
        };
        let second = async |item| {
            change(restored, 1);
            work(b).await;
            change(dumps, -1);
            Ok(item)
        };
        let third = async |_| {
            work(c).await;
            change(restored, -1);
            Ok(())
        };
        pipeline(0..20, first, second, third).await.unwrap();
        assert_eq!((dumps.get(), restored.get()), (0, 0));
        let bound = i32::try_from(AHEAD).unwrap();
        let (dumps, restored) = most.get();
        assert!(dumps <= bound && restored <= bound, "{dumps} dumps, {restored} restored databases");
    }

    #[rstest::rstest]
    #[case::first(1)]
    #[case::second(2)]
    #[case::third(3)]
    #[tokio::test(start_paused = true)]
    async fn error_of_a_stage_ends_all_of_them(#[case] failing: u32) {
        let finished = RefCell::new(Vec::new());
        let stage = async |number: u32, item: u32| {
            work(1).await;
            if number == failing && item == 4 { Err(number) } else { Ok(item) }
        };
        let result = pipeline(
            0..1000,
            async |item| stage(1, item).await,
            async |item| stage(2, item).await,
            async |item| {
                stage(3, item).await?;
                finished.borrow_mut().push(item);
                Ok(())
            },
        );
        assert_eq!(result.await, Err(failing));
        assert!(finished.borrow().len() <= 4, "{finished:?}");
    }
}
